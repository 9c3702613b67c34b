#include "api/zmq/outgoing.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include "server/base/check.h"
#include "server/base/limits.h"
#include "server/base/mem.h"

#define VECTORS 64

struct piece {
    struct piece *next;
    struct shared_text *text; /* NULL: the head is all */
    size_t head_len;
    uint8_t head[OUTGOING_HEAD_BYTES];
};

static struct shared_text *take_text(struct budget *budget, struct buffer *text)
{
    size_t len = text->len, bytes = text->capacity;
    struct shared_text *shared = mem_alloc(sizeof *shared);
    uint8_t *data = buffer_take(text, &len);
    *shared = (struct shared_text){1, budget, len, bytes, data};
    return shared;
}

struct shared_text *shared_text_add(struct budget *budget, struct buffer *text)
{
    budget_add(budget, text->capacity);
    return take_text(budget, text);
}

struct shared_text *shared_text_new(struct budget *budget, struct buffer *text)
{
    if (text->len <= ZMQ_SMALL_BYTES) {
        return shared_text_add(budget, text);
    }
    return budget_take(budget, text->capacity) ? take_text(budget, text) : NULL;
}

void shared_text_drop(struct shared_text *text)
{
    CHECK(text->holders > 0);
    if (--text->holders == 0) {
        budget_give(text->budget, text->counted);
        free(text->data);
        free(text);
    }
}

void outgoing_init(struct outgoing *out, struct budget *budget)
{
    out->budget = budget;
    out->first = out->last = NULL;
    out->count = 0;
    out->sent = 0;
    out->bytes = 0;
}

void outgoing_add(struct outgoing *out, const uint8_t *head, size_t head_len,
                  struct shared_text *text)
{
    struct piece *piece = mem_alloc(sizeof *piece);
    budget_add(out->budget, sizeof *piece);
    CHECK(head_len <= sizeof piece->head && (head_len > 0 || text != NULL));
    if (head_len > 0) {
        memcpy(piece->head, head, head_len);
    }
    piece->head_len = head_len;
    piece->text = text;
    if (text != NULL) {
        text->holders++;
        out->bytes += text->len;
    }
    piece->next = NULL;
    if (out->first == NULL) {
        out->first = piece;
    } else {
        out->last->next = piece;
    }
    out->last = piece;
    out->count++;
}

static void drop_first(struct outgoing *out)
{
    struct piece *piece = out->first;
    out->first = piece->next;
    out->count--;
    if (piece->text != NULL) {
        out->bytes -= piece->text->len;
        shared_text_drop(piece->text);
    }
    budget_give(out->budget, sizeof *piece);
    free(piece);
}

static size_t add_vector(struct iovec *vectors, size_t count, uint8_t *data, size_t len,
                         size_t *skip)
{
    size_t skipped = *skip < len ? *skip : len;
    *skip -= skipped;
    if (skipped < len) {
        vectors[count++] = (struct iovec){data + skipped, len - skipped};
    }
    return count;
}

static size_t gather(struct outgoing *out, struct iovec vectors[VECTORS])
{
    size_t count = 0, skip = out->sent;
    for (struct piece *piece = out->first; piece != NULL && count + 2 <= VECTORS;
         piece = piece->next) {
        count = add_vector(vectors, count, piece->head, piece->head_len, &skip);
        if (piece->text != NULL) {
            count = add_vector(vectors, count, piece->text->data, piece->text->len, &skip);
        }
    }
    return count;
}

/* Drops the pieces that are sent. */
static void advance(struct outgoing *out, size_t bytes)
{
    out->sent += bytes;
    while (out->first != NULL) {
        const struct shared_text *text = out->first->text;
        size_t len = out->first->head_len + (text != NULL ? text->len : 0);
        if (out->sent < len) {
            return;
        }
        out->sent -= len;
        drop_first(out);
    }
    CHECK(out->sent == 0);
}

enum outgoing_result outgoing_send(struct outgoing *out, int fd, size_t *ret_bytes)
{
    struct iovec vectors[VECTORS];
    *ret_bytes = 0;
    while (out->count > 0) {
        struct msghdr message = {.msg_iov = vectors, .msg_iovlen = gather(out, vectors)};
        ssize_t sent = sendmsg(fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (sent < 0 && errno == EINTR) {
            continue;
        }
        if (sent < 0) {
            return errno == EAGAIN || errno == ENOBUFS || errno == ENOMEM ? OUTGOING_SOME
                                                                          : OUTGOING_NOBODY;
        }
        *ret_bytes += (size_t)sent;
        advance(out, (size_t)sent);
    }
    return OUTGOING_ALL;
}

void outgoing_done(struct outgoing *out)
{
    while (out->first != NULL) {
        drop_first(out);
    }
    out->sent = 0;
}
