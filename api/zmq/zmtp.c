#include "api/zmq/zmtp.h"

#include <endian.h>
#include <string.h>
#include <strings.h>

#include "server/base/check.h"

#define SIGNATURE_BYTES 10
#define MAJOR           3
#define MINOR           1
#define AT_MAJOR        10
#define AT_MECHANISM    12
#define MECHANISM_BYTES 20
#define AT_AS_SERVER    32
#define PROPERTY_TYPE   "Socket-Type"

static bool equals(struct slice slice, const char *text)
{
    return slice.len == strlen(text) && memcmp(slice.data, text, slice.len) == 0;
}

/* --- greeting --- */

void zmtp_greeting_write(const char *mechanism, uint8_t ret_bytes[ZMTP_GREETING_BYTES])
{
    memset(ret_bytes, 0, ZMTP_GREETING_BYTES);
    ret_bytes[0] = 0xff;
    ret_bytes[8] = 1; /* as older peers expect it */
    ret_bytes[9] = 0x7f;
    ret_bytes[AT_MAJOR] = MAJOR;
    ret_bytes[AT_MAJOR + 1] = MINOR;
    CHECK(strlen(mechanism) < MECHANISM_BYTES);
    memcpy(ret_bytes + AT_MECHANISM, mechanism, strlen(mechanism));
    ret_bytes[AT_AS_SERVER] = strcmp(mechanism, "NULL") != 0;
}

enum zmtp_parsed zmtp_greeting_parse(const char *mechanism, const uint8_t *data, size_t len)
{
    uint8_t expected[MECHANISM_BYTES] = {0};
    CHECK(strlen(mechanism) < MECHANISM_BYTES);
    memcpy(expected, mechanism, strlen(mechanism));
    if ((len > 0 && data[0] != 0xff) || (len >= SIGNATURE_BYTES && (data[9] & 1) == 0) ||
        (len > AT_MAJOR && data[AT_MAJOR] < MAJOR)) {
        return ZMTP_BROKEN;
    }
    if (len < ZMTP_GREETING_BYTES) {
        return ZMTP_PARTIAL;
    }
    return memcmp(data + AT_MECHANISM, expected, sizeof expected) == 0 ? ZMTP_WHOLE : ZMTP_BROKEN;
}

/* --- frames --- */

enum zmtp_parsed zmtp_frame_parse(const uint8_t *data, size_t len, size_t bytes_max,
                                  struct zmtp_frame *ret)
{
    uint64_t body_len;
    if (len == 0) {
        return ZMTP_PARTIAL;
    }
    if ((data[0] & ~ZMTP_FLAGS) != 0) {
        return ZMTP_BROKEN;
    }
    size_t head = (data[0] & ZMTP_LONG) != 0 ? 1 + sizeof body_len : 2;
    if (len < head) {
        return ZMTP_PARTIAL;
    }
    if (head == 2) {
        body_len = data[1];
    } else {
        memcpy(&body_len, data + 1, sizeof body_len);
        body_len = be64toh(body_len);
    }
    if (body_len > bytes_max) {
        return ZMTP_BROKEN;
    }
    if (len - head < body_len) {
        return ZMTP_PARTIAL;
    }
    ret->flags = data[0];
    ret->body = (struct slice){(const char *)data + head, (size_t)body_len};
    ret->bytes = head + (size_t)body_len;
    return ZMTP_WHOLE;
}

size_t zmtp_frame_head(unsigned flags, size_t body_len, uint8_t ret_head[ZMTP_FRAME_HEAD_BYTES])
{
    uint64_t long_len = htobe64(body_len);
    if (body_len <= UINT8_MAX) {
        ret_head[0] = (uint8_t)flags;
        ret_head[1] = (uint8_t)body_len;
        return 2;
    }
    ret_head[0] = (uint8_t)(flags | ZMTP_LONG);
    memcpy(ret_head + 1, &long_len, sizeof long_len);
    return ZMTP_FRAME_HEAD_BYTES;
}

/* --- commands --- */

bool zmtp_command_parse(struct slice body, struct zmtp_command *ret)
{
    if (body.len == 0) {
        return false;
    }
    size_t name_len = (uint8_t)body.data[0];
    if (name_len == 0 || name_len > body.len - 1) {
        return false;
    }
    ret->name = (struct slice){body.data + 1, name_len};
    ret->data = (struct slice){body.data + 1 + name_len, body.len - 1 - name_len};
    return true;
}

bool zmtp_command_is(const struct zmtp_command *command, const char *name)
{
    return equals(command->name, name);
}

/* --- metadata: properties of a name with its length in a byte, a value with its in four --- */

bool zmtp_metadata_parse(struct slice data, struct slice *ret_type)
{
    const char *at = data.data;
    size_t left = data.len;
    *ret_type = (struct slice){"", 0};
    while (left > 0) {
        uint32_t value_len;
        size_t name_len = (uint8_t)at[0];
        if (name_len == 0 || left < 1 + name_len + sizeof value_len) {
            return false;
        }
        const char *name = at + 1;
        memcpy(&value_len, name + name_len, sizeof value_len);
        value_len = be32toh(value_len);
        at = name + name_len + sizeof value_len;
        left -= 1 + name_len + sizeof value_len;
        if (value_len > left) {
            return false;
        }
        if (name_len == strlen(PROPERTY_TYPE) && strncasecmp(name, PROPERTY_TYPE, name_len) == 0) {
            *ret_type = (struct slice){at, value_len};
        }
        at += value_len;
        left -= value_len;
    }
    return true;
}

size_t zmtp_metadata_write(const char *type, uint8_t ret_bytes[ZMTP_METADATA_BYTES_MAX])
{
    size_t name_len = strlen(PROPERTY_TYPE), len = strlen(type), at = 0;
    uint32_t value_len = htobe32((uint32_t)len);
    CHECK(1 + name_len + sizeof value_len + len <= ZMTP_METADATA_BYTES_MAX);
    ret_bytes[at++] = (uint8_t)name_len;
    memcpy(ret_bytes + at, PROPERTY_TYPE, name_len);
    at += name_len;
    memcpy(ret_bytes + at, &value_len, sizeof value_len);
    at += sizeof value_len;
    memcpy(ret_bytes + at, type, len);
    return at + len;
}

bool zmtp_types_match(const char *type, struct slice peers)
{
    if (strcmp(type, "ROUTER") == 0) {
        return equals(peers, "DEALER") || equals(peers, "REQ") || equals(peers, "ROUTER");
    }
    return equals(peers, "SUB") || equals(peers, "XSUB");
}
