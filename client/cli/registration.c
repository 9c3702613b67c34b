#include "client/cli/registration.h"

#include <inttypes.h>
#include <string.h>

#include "client/cli/check_option.h"
#include "server/base/limits.h"
#include "server/base/text.h"

bool registration_set_text(const struct cli *cli, json_t *body, const char *member,
                           const char *text)
{
    if (text != NULL && json_object_set_new(body, member, json_string(text)) != 0) {
        cli_usage(cli, "--%s is not UTF-8", member);
        return false;
    }
    return true;
}

static bool set_number(const struct cli *cli, json_t *body, const char *member, uint64_t max)
{
    const char *text = args_get(&cli->args, member);
    uint64_t value;
    if (text == NULL) {
        return true;
    }
    if (!text_parse_u64(text, UINT32_MAX, &value) || value > max) {
        cli_usage(cli, "--%s %s is not a number up to %" PRIu64, member, text, max);
        return false;
    }
    return json_object_set_new(body, member, json_integer((json_int_t)value)) == 0;
}

/* A duration goes out as a number of seconds. */
static bool set_ttl(const struct cli *cli, json_t *body)
{
    const char *text = args_get(&cli->args, "ttl");
    uint64_t ms;
    if (text == NULL) {
        return true;
    }
    if (!text_parse_duration_ms(text, &ms) || ms == 0) {
        cli_usage(cli, "--ttl %s is not a duration such as 30s, 5m or 30", text);
        return false;
    }
    json_t *seconds =
        ms % 1000 == 0 ? json_integer((json_int_t)(ms / 1000)) : json_real((double)ms / 1000.0);
    return json_object_set_new(body, "ttl", seconds) == 0;
}

static bool set_tags(const struct cli *cli, json_t *body)
{
    json_t *tags = json_array();
    const char *tag;
    json_object_set_new(body, "tags", tags);
    for (size_t at = 0; (tag = args_next(&cli->args, "tag", &at)) != NULL;) {
        if (json_array_append_new(tags, json_string(tag)) != 0) {
            cli_usage(cli, "--tag is not UTF-8");
            return false;
        }
    }
    if (json_array_size(tags) == 0) {
        json_object_del(body, "tags");
    }
    return true;
}

static bool set_metadata(const struct cli *cli, json_t *body)
{
    json_t *metadata = json_object();
    const char *pair;
    json_object_set_new(body, "metadata", metadata);
    for (size_t at = 0; (pair = args_next(&cli->args, "meta", &at)) != NULL;) {
        char key[METADATA_KEY_BYTES_MAX + 1];
        size_t len = strcspn(pair, "=");
        if (pair[len] == '\0' || len == 0 || len >= sizeof key) {
            cli_usage(cli, "--meta %s is not KEY=VALUE with a key of at most %d bytes", pair,
                      METADATA_KEY_BYTES_MAX);
            return false;
        }
        memcpy(key, pair, len);
        key[len] = '\0';
        if (json_object_get(metadata, key) != NULL ||
            json_object_set_new(metadata, key, json_string(pair + len + 1)) != 0) {
            cli_usage(cli, "--meta %s: the key is there twice, or it is not UTF-8", pair);
            return false;
        }
    }
    if (json_object_size(metadata) == 0) {
        json_object_del(body, "metadata");
    }
    return true;
}

bool registration_body(const struct cli *cli, const char *name, const char *check, json_t *body)
{
    static const char *const texts[] = {"host", "id", "type", "zone"};
    if (!registration_set_text(cli, body, "name", name)) {
        return false;
    }
    for (size_t i = 0; i < ARRAY_LENGTH(texts); i++) {
        if (!registration_set_text(cli, body, texts[i], args_get(&cli->args, texts[i]))) {
            return false;
        }
    }
    return set_number(cli, body, "port", UINT16_MAX) &&
           set_number(cli, body, "weight", WEIGHT_MAX) && set_ttl(cli, body) &&
           set_tags(cli, body) && set_metadata(cli, body) && check_option_set(cli, check, body);
}
