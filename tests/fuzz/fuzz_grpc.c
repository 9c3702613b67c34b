/* Messages of gRPC: what is unpacked of them fits into its arena, an accepted registration is
 * within the limits and gives a command that the log accepts, and comes back as it was said; what
 * is refused is refused with a printable message.
 *
 * Input: a byte for the kind, then a frame (api/grpc/frame.h) and its message. */
#include <registry.pb-c.h>

#include "api/grpc/beat.h"
#include "api/grpc/check_message.h"
#include "api/grpc/instance.h"
#include "server/base/limits.h"
#include "server/base/text.h"
#include "server/wire/wire_command.h"
#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/logged.h"

static void check_problem(const struct problem *problem)
{
    CHECK(problem->message[0] != '\0');
    CHECK(text_is_printable(problem->message, strlen(problem->message)));
}

static bool is_same(ProtobufCBinaryData a, struct slice b)
{
    return a.len == b.len && (a.len == 0 || memcmp(a.data, b.data, a.len) == 0);
}

/* Packed and unpacked again, the record says what was registered. */
static void check_shown(const struct registration *r)
{
    struct record *record = record_create(r);
    struct instance_out out;
    struct buffer packed;
    struct arena arena;
    buffer_init(&packed, EVENT_TEXT_BYTES_MAX);
    instance_make(&out, record);
    frame_append(&packed, &out.message.base);
    arena_init(&arena, packed.len);
    CHECK(!packed.overflowed);
    Muster__V1__Instance *again =
        muster__v1__instance__unpack(&arena.allocator, packed.len, packed.data);
    CHECK(again != NULL && again->port == r->port && again->n_tags == r->tags_count &&
          again->n_metadata == r->metadata_count && is_same(again->id, r->id) &&
          is_same(again->name, r->name) && is_same(again->host, r->host));
    arena_done(&arena);
    buffer_done(&packed);
    free(record);
}

static void try_checks(const Muster__V1__Instance *instance, struct arena *arena,
                       struct command *command)
{
    static struct check_list list;
    struct problem problem = {.message = ""};
    if (check_message_parse(instance->checks, arena, &list, &problem)) {
        check_list_put(&list, instance->ttl_ms != 0, command);
        check_logged(command);
    } else {
        check_problem(&problem);
    }
    check_list_done(&list);
}

static void try_register(const ProtobufCMessage *message, struct arena *arena)
{
    static struct command command;
    const Muster__V1__RegisterRequest *request = (const void *)message;
    const struct instance_defaults defaults = {30000, 60000, "10.0.0.1"};
    struct problem problem = {.message = ""};
    if (request->instance == NULL) {
        return;
    }
    if (instance_parse(request->instance, arena, &defaults, &command, &problem)) {
        check_logged(&command);
        check_shown(&command.register_.registration);
        try_checks(request->instance, arena, &command);
    } else {
        check_problem(&problem);
    }
}

static void try_filter(const ProtobufCMessage *message, struct arena *arena)
{
    const Muster__V1__ListRequest *request = (const void *)message;
    struct problem problem = {.message = ""};
    struct filter filter;
    const char *service;
    if (instance_filter(request->filter, arena, &filter, &service, FILTER_DISCOVERABLE, &problem)) {
        CHECK(filter.tags_count <= TAGS_MAX && filter.metadata_count <= METADATA_MAX);
        CHECK(filter.health != 0 && (filter.health & ~FILTER_ANY_HEALTH) == 0);
    } else {
        check_problem(&problem);
    }
}

static void try_beat(const ProtobufCMessage *message)
{
    const Muster__V1__HeartbeatRequest *request = (const void *)message;
    struct problem problem = {.message = ""};
    struct node_renewal renewal;
    if (!beat_check(request, &problem)) {
        check_problem(&problem);
        return;
    }
    beat_renewal(request, &renewal);
    CHECK(request->n_ids >= 1 && request->n_ids <= HEARTBEAT_IDS_MAX);
    CHECK(request->n_ids == 1 ||
          (renewal.incarnation == 0 && !renewal.health_given && !renewal.note_given));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    static const ProtobufCMessageDescriptor *const kinds[] = {
        &muster__v1__register_request__descriptor, &muster__v1__list_request__descriptor,
        &muster__v1__heartbeat_request__descriptor};
    struct arena arena;
    const uint8_t *bytes;
    size_t message_len;
    if (len < 1) {
        return 0;
    }
    unsigned kind = data[0] % ARRAY_LENGTH(kinds);
    uint8_t *copy = fuzz_copy(data + 1, len - 1);
    if (frame_scan(copy, len - 1, HEARTBEAT_BODY_BYTES_MAX, &bytes, &message_len) == FRAME_WHOLE) {
        arena_init(&arena, message_len);
        ProtobufCMessage *message =
            protobuf_c_message_unpack(kinds[kind], &arena.allocator, message_len, bytes);
        if (message != NULL && kind == 0) {
            try_register(message, &arena);
        } else if (message != NULL && kind == 1) {
            try_filter(message, &arena);
        } else if (message != NULL) {
            try_beat(message);
        }
        arena_done(&arena);
    }
    free(copy);
    return 0;
}
