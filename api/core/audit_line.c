#include "api/core/audit_line.h"

#include <string.h>

#include "api/core/json_out.h"
#include "server/base/check.h"

#define TOKEN_LEN       (TOKEN_TEXT_SIZE - 1)
#define TOKEN_KEPT      (TOKEN_LEN - TOKEN_SECRET_CHARS)
#define HIDDEN          "***"
#define ELLIPSIS        "..."
#define IS_INSIDE(byte) (((unsigned char)(byte)&0xc0u) == 0x80) /* of a character of UTF-8 */

static_assert(AUDIT_LINE_BYTES_MAX >
                  (5 + AUDIT_PARAMETERS_MAX) * 2 * (AUDIT_TEXT_BYTES_MAX + sizeof ELLIPSIS) + 1024,
              "any line fits");

/* Copies a text without the secrets of tokens in it. */
static void clean(const char *text, char out[AUDIT_TEXT_BYTES_MAX + sizeof ELLIPSIS])
{
    char id[TOKEN_ID_SIZE];
    size_t len = strlen(text), n = 0;
    for (size_t i = 0; i < len;) {
        bool is_token = len - i >= TOKEN_LEN && token_text_parse(text + i, TOKEN_LEN, id);
        const char *piece = text + i;
        size_t piece_len = is_token ? TOKEN_KEPT : 1;
        if (n + piece_len + sizeof HIDDEN > AUDIT_TEXT_BYTES_MAX) {
            while (n > 0 && IS_INSIDE(*piece)) {
                piece--;
                n--;
            }
            memcpy(out + n, ELLIPSIS, sizeof ELLIPSIS);
            return;
        }
        memcpy(out + n, piece, piece_len);
        n += piece_len;
        i += is_token ? TOKEN_LEN : 1;
        if (is_token) {
            memcpy(out + n, HIDDEN, sizeof HIDDEN - 1);
            n += sizeof HIDDEN - 1;
        }
    }
    out[n] = '\0';
}

static void add_text(struct json_out *json, const char *key, const char *text)
{
    char cleaned[AUDIT_TEXT_BYTES_MAX + sizeof ELLIPSIS];
    if (text[0] != '\0') {
        clean(text, cleaned);
        json_out_member_text(json, key, cleaned);
    }
}

static void add_principal(struct json_out *json, const struct principal *principal)
{
    if (principal == NULL) {
        return;
    }
    if (principal->is_unknown) {
        json_out_member_text(json, "principal", "unknown");
        add_text(json, "claimed", principal->claimed);
    } else {
        const char *name = principal_name(principal);
        add_text(json, "principal", name[0] != '\0' ? name : "anonymous");
    }
}

static void add_parameters(struct json_out *json, const struct audit_line *line)
{
    CHECK(line->parameters_count <= AUDIT_PARAMETERS_MAX);
    if (line->parameters_count == 0) {
        return;
    }
    json_out_key(json, "parameters");
    json_out_begin(json, '{');
    for (size_t i = 0; i < line->parameters_count; i++) {
        add_text(json, line->parameters[i].name, line->parameters[i].value);
    }
    json_out_end(json, '}');
}

void audit_line_render(const struct audit_line *line, struct buffer *out)
{
    struct json_out json = json_out_to(out);
    json_out_begin(&json, '{');
    json_out_key(&json, "time");
    json_out_time(&json, line->wall_ms);
    json_out_member_u64(&json, "replica", line->replica);
    add_text(&json, "door", line->door);
    add_text(&json, "address", line->address);
    add_principal(&json, line->principal);
    add_text(&json, "action", line->action);
    add_text(&json, "namespace", line->space);
    add_text(&json, "service", line->service);
    add_text(&json, "id", line->id);
    add_parameters(&json, line);
    if (line->status > 0) {
        json_out_member_u64(&json, "status", (uint64_t)line->status);
    }
    add_text(&json, "outcome", line->outcome);
    if (line->index > 0) {
        json_out_member_u64(&json, "index", line->index);
    }
    if (line->held_back > 0) {
        json_out_member_u64(&json, "held_back", line->held_back);
    }
    if (line->client_gone) {
        json_out_member_bool(&json, "client_gone", true);
    }
    json_out_end(&json, '}');
    buffer_append_byte(out, '\n');
    CHECK(!out->overflowed);
}
