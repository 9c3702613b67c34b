#include "api/amqp/amqp_broker.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>

#include <amqp_ssl_socket.h>
#include <amqp_tcp_socket.h>

#include "server/base/check.h"

#define CHANNEL           1
#define CONNECT_SECONDS   5
#define ANSWER_SECONDS    10
#define HEARTBEAT_SECONDS 5
/* The kernel ends a connection whose peer has taken nothing for so long. */
#define TAKEN_NOTHING_MS 15000
#define FRAME_BYTES      131072

void amqp_broker_init(struct amqp_broker *b)
{
    *b = (struct amqp_broker){.connection = NULL, .fd = -1};
    CHECK(pthread_mutex_init(&b->mutex, NULL) == 0);
}

void amqp_broker_done(struct amqp_broker *b)
{
    CHECK(b->connection == NULL);
    CHECK(pthread_mutex_destroy(&b->mutex) == 0);
}

void amqp_broker_abort(struct amqp_broker *b)
{
    (void)pthread_mutex_lock(&b->mutex);
    if (b->fd >= 0) {
        (void)shutdown(b->fd, SHUT_RDWR);
    }
    (void)pthread_mutex_unlock(&b->mutex);
}

static void set_descriptor(struct amqp_broker *b, int fd)
{
    (void)pthread_mutex_lock(&b->mutex);
    b->fd = fd;
    (void)pthread_mutex_unlock(&b->mutex);
}

void amqp_broker_close(struct amqp_broker *b)
{
    set_descriptor(b, -1); /* before it is closed, and may be another's */
    if (b->connection != NULL) {
        (void)amqp_destroy_connection(b->connection);
        b->connection = NULL;
    }
}

/* --- what went wrong --- */

static bool refuse(char *error, size_t error_size, const char *what, int status)
{
    (void)snprintf(error, error_size, "%s: %s", what, amqp_error_string2(status));
    return false;
}

/* Texts of the broker may have any bytes. */
static bool refuse_text(char *error, size_t error_size, const char *what, int code,
                        amqp_bytes_t text)
{
    int len = (int)(text.len < 120 ? text.len : 120);
    (void)snprintf(error, error_size, "%s: %d %.*s", what, code, len, (const char *)text.bytes);
    for (char *c = error; *c != '\0'; c++) {
        if (*c < ' ' || *c > '~' || *c == '"') {
            *c = '\'';
        }
    }
    return false;
}

static bool refuse_method(char *error, size_t error_size, const char *what,
                          const amqp_method_t *method)
{
    if (method->id == AMQP_CONNECTION_CLOSE_METHOD) {
        const amqp_connection_close_t *m = method->decoded;
        return refuse_text(error, error_size, what, m->reply_code, m->reply_text);
    }
    if (method->id == AMQP_CHANNEL_CLOSE_METHOD) {
        const amqp_channel_close_t *m = method->decoded;
        return refuse_text(error, error_size, what, m->reply_code, m->reply_text);
    }
    (void)snprintf(error, error_size, "%s: the broker sent something unexpected", what);
    return false;
}

static bool is_good(amqp_rpc_reply_t reply, const char *what, char *error, size_t error_size)
{
    switch (reply.reply_type) {
    case AMQP_RESPONSE_NORMAL:
        return true;
    case AMQP_RESPONSE_LIBRARY_EXCEPTION:
        return refuse(error, error_size, what, reply.library_error);
    case AMQP_RESPONSE_SERVER_EXCEPTION:
        return refuse_method(error, error_size, what, &reply.reply);
    case AMQP_RESPONSE_NONE:
        break;
    }
    (void)snprintf(error, error_size, "%s: no answer", what);
    return false;
}

/* --- connecting --- */

static amqp_socket_t *make_socket(struct amqp_broker *b, const struct amqp_url *url, const char *ca,
                                  char *error, size_t error_size)
{
    if (!url->tls) {
        return amqp_tcp_socket_new(b->connection);
    }
    amqp_socket_t *socket = amqp_ssl_socket_new(b->connection);
    if (socket == NULL) {
        return NULL;
    }
    int status = amqp_ssl_socket_set_cacert(socket, ca);
    if (status != AMQP_STATUS_OK) {
        (void)snprintf(error, error_size, "--amqp-ca %s: %s", ca, amqp_error_string2(status));
        return NULL;
    }
    amqp_ssl_socket_set_verify_peer(socket, 1);
    amqp_ssl_socket_set_verify_hostname(socket, 1);
    (void)amqp_ssl_socket_set_ssl_versions(socket, AMQP_TLSv1_2, AMQP_TLSvLATEST);
    return socket;
}

static bool open_socket(struct amqp_broker *b, const struct amqp_url *url, const char *ca,
                        char *error, size_t error_size)
{
    struct timeval within = {.tv_sec = CONNECT_SECONDS};
    unsigned taken_nothing_ms = TAKEN_NOTHING_MS;
    (void)snprintf(error, error_size, "cannot make a socket");
    amqp_socket_t *socket = make_socket(b, url, ca, error, error_size);
    if (socket == NULL) {
        return false;
    }
    int status = amqp_socket_open_noblock(socket, url->host, url->port, &within);
    if (status != AMQP_STATUS_OK) {
        return refuse(error, error_size, "cannot connect", status);
    }
    int fd = amqp_socket_get_sockfd(socket);
    (void)setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &taken_nothing_ms, sizeof taken_nothing_ms);
    set_descriptor(b, fd);
    return true;
}

static amqp_table_entry_t entry_of(const char *key, amqp_field_value_t value)
{
    return (amqp_table_entry_t){.key = amqp_cstring_bytes(key), .value = value};
}

static amqp_field_value_t text_value(const char *text)
{
    return (amqp_field_value_t){.kind = AMQP_FIELD_KIND_UTF8,
                                .value.bytes = amqp_cstring_bytes(text)};
}

static bool log_in(struct amqp_broker *b, const struct amqp_url *url, char *error,
                   size_t error_size)
{
    amqp_field_value_t yes = {.kind = AMQP_FIELD_KIND_BOOLEAN, .value.boolean = 1};
    /* Without it the broker does not say when it takes nothing. */
    amqp_table_entry_t abilities[] = {entry_of("connection.blocked", yes),
                                      entry_of("publisher_confirms", yes)};
    amqp_field_value_t capabilities = {
        .kind = AMQP_FIELD_KIND_TABLE,
        .value.table = {.num_entries = 2, .entries = abilities},
    };
    amqp_table_entry_t properties[] = {entry_of("product", text_value("muster")),
                                       entry_of("version", text_value(MUSTER_VERSION)),
                                       entry_of("capabilities", capabilities)};
    const amqp_table_t table = {.num_entries = 3, .entries = properties};
    return is_good(amqp_login_with_properties(b->connection, url->vhost, CHANNEL, FRAME_BYTES,
                                              HEARTBEAT_SECONDS, &table, AMQP_SASL_METHOD_PLAIN,
                                              url->user, url->password),
                   "the broker refuses the login", error, error_size);
}

static bool open_channel(struct amqp_broker *b, const char *exchange, char *error,
                         size_t error_size)
{
    (void)amqp_channel_open(b->connection, CHANNEL);
    if (!is_good(amqp_get_rpc_reply(b->connection), "cannot open a channel", error, error_size)) {
        return false;
    }
    (void)amqp_exchange_declare(b->connection, CHANNEL, amqp_cstring_bytes(exchange),
                                amqp_cstring_bytes("topic"), 0, 1, 0, 0, amqp_empty_table);
    if (!is_good(amqp_get_rpc_reply(b->connection), "cannot declare the exchange", error,
                 error_size)) {
        return false;
    }
    (void)amqp_confirm_select(b->connection, CHANNEL);
    return is_good(amqp_get_rpc_reply(b->connection), "the broker has no publisher confirms", error,
                   error_size);
}

bool amqp_broker_connect(struct amqp_broker *b, const struct amqp_url *url, const char *exchange,
                         const char *ca, char *error, size_t error_size)
{
    struct timeval within = {.tv_sec = ANSWER_SECONDS};
    CHECK(b->connection == NULL);
    b->connection = amqp_new_connection();
    b->blocked = false;
    b->next_tag = b->oldest_tag = 1;
    memset(b->confirmed, 0, sizeof b->confirmed);
    if (b->connection == NULL) {
        (void)snprintf(error, error_size, "no memory");
        return false;
    }
    return amqp_set_handshake_timeout(b->connection, &within) == AMQP_STATUS_OK &&
           amqp_set_rpc_timeout(b->connection, &within) == AMQP_STATUS_OK &&
           open_socket(b, url, ca, error, error_size) && log_in(b, url, error, error_size) &&
           open_channel(b, exchange, error, error_size);
}

/* --- messages --- */

bool amqp_broker_publish(struct amqp_broker *b, const char *exchange,
                         const struct amqp_publication *m, char *error, size_t error_size)
{
    CHECK(b->next_tag - b->oldest_tag < AMQP_BROKER_WINDOW);
    const amqp_basic_properties_t properties = {
        ._flags = AMQP_BASIC_CONTENT_TYPE_FLAG | AMQP_BASIC_DELIVERY_MODE_FLAG |
                  AMQP_BASIC_MESSAGE_ID_FLAG | AMQP_BASIC_TIMESTAMP_FLAG | AMQP_BASIC_APP_ID_FLAG,
        .content_type = amqp_cstring_bytes("application/json"),
        .delivery_mode = AMQP_DELIVERY_PERSISTENT,
        .message_id = amqp_cstring_bytes(m->message_id),
        .timestamp = m->wall_ms > 0 ? (uint64_t)m->wall_ms / 1000 : 0,
        .app_id = amqp_cstring_bytes("muster"),
    };
    const amqp_bytes_t body = {.len = m->body_len, .bytes = (void *)(uintptr_t)m->body};
    int status = amqp_basic_publish(b->connection, CHANNEL, amqp_cstring_bytes(exchange),
                                    amqp_cstring_bytes(m->key), 0, 0, &properties, body);
    if (status != AMQP_STATUS_OK) {
        return refuse(error, error_size, "the broker does not take messages", status);
    }
    b->next_tag++;
    return true;
}

/* Whether there is such a message; with `multiple` all up to it are confirmed. */
static bool confirm(struct amqp_broker *b, uint64_t tag, bool multiple)
{
    if (tag < b->oldest_tag || tag >= b->next_tag) {
        return multiple && tag == 0; /* 0: all of them */
    }
    for (uint64_t t = multiple ? b->oldest_tag : tag; t <= tag; t++) {
        b->confirmed[t % AMQP_BROKER_WINDOW] = true;
    }
    return true;
}

static size_t count_confirmed(struct amqp_broker *b)
{
    size_t count = 0;
    while (b->oldest_tag < b->next_tag && b->confirmed[b->oldest_tag % AMQP_BROKER_WINDOW]) {
        b->confirmed[b->oldest_tag % AMQP_BROKER_WINDOW] = false;
        b->oldest_tag++;
        count++;
    }
    return count;
}

static bool take_method(struct amqp_broker *b, const amqp_method_t *method, char *error,
                        size_t error_size)
{
    switch (method->id) {
    case AMQP_BASIC_ACK_METHOD: {
        const amqp_basic_ack_t *ack = method->decoded;
        uint64_t tag =
            ack->multiple && ack->delivery_tag == 0 ? b->next_tag - 1 : ack->delivery_tag;
        (void)confirm(b, tag, ack->multiple); /* of one that is confirmed already: nothing */
        return true;
    }
    case AMQP_BASIC_NACK_METHOD:
        (void)snprintf(error, error_size, "the broker could not keep a message");
        return false;
    case AMQP_CONNECTION_BLOCKED_METHOD:
        b->blocked = true;
        return true;
    case AMQP_CONNECTION_UNBLOCKED_METHOD:
        b->blocked = false;
        return true;
    default:
        return refuse_method(error, error_size, "the broker has closed the connection", method);
    }
}

bool amqp_broker_take(struct amqp_broker *b, size_t *ret_confirmed, char *error, size_t error_size)
{
    struct timeval at_once = {0};
    bool good = true;
    int status = AMQP_STATUS_OK;
    while (good && status == AMQP_STATUS_OK) {
        amqp_frame_t frame;
        amqp_maybe_release_buffers(b->connection);
        status = amqp_simple_wait_frame_noblock(b->connection, &frame, &at_once);
        if (status == AMQP_STATUS_OK && frame.frame_type == AMQP_FRAME_METHOD) {
            good = take_method(b, &frame.payload.method, error, error_size);
        }
    }
    *ret_confirmed = count_confirmed(b);
    if (good && status != AMQP_STATUS_TIMEOUT) {
        return refuse(error, error_size, "the connection is lost", status);
    }
    return good;
}
