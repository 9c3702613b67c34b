/* grpc.reflection: the .proto files of this folder, as tools ask for them. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <reflection.pb-c.h>

#include "api/grpc/descriptors.h"
#include "api/grpc/talk.h"
#include "server/base/limits.h"

typedef Grpc__Reflection__V1__ServerReflectionRequest request_message;
typedef Grpc__Reflection__V1__ServerReflectionResponse response_message;

static const struct {
    const char *service, *method;
} calls[] = {
#define CALL(SERVICE, METHOD, handler, NEEDED, BYTES, VITAL) {SERVICE, METHOD},
#define TALK(SERVICE, METHOD, handler, NEEDED)               {SERVICE, METHOD},
#include "api/grpc/calls.def"
};

/* The file in a set of one: behind its tag and length. */
static ProtobufCBinaryData file_of(const struct descriptor *d)
{
    size_t at = 1;
    while (at < d->set_len && (d->set[at] & 0x80) != 0) {
        at++;
    }
    at++;
    return (ProtobufCBinaryData){d->set_len - at, (uint8_t *)(uintptr_t)(d->set + at)};
}

/* The name as a field of the file: its length, then its text. Each message, call and value of the
 * file is in it like that. */
static bool file_has(const struct descriptor *d, const char *name, size_t len)
{
    char field[130];
    if (len == 0 || len >= sizeof field - 1) {
        return false;
    }
    field[0] = (char)len;
    memcpy(field + 1, name, len);
    return memmem(d->set, d->set_len, field, len + 1) != NULL;
}

/* Whether `symbol` is a name of the file, all of its parts behind the package. */
static bool declares(const struct descriptor *d, const char *symbol)
{
    const char *rest = symbol;
    char package[130];
    for (const char *dot = strchr(symbol, '.'); dot != NULL; dot = strchr(dot + 1, '.')) {
        size_t len = (size_t)(dot - symbol);
        /* Of a package: field 2, and the file's own. */
        if (len < sizeof package - 2 && file_has(d, symbol, len)) {
            package[0] = 0x12;
            package[1] = (char)len;
            memcpy(package + 2, symbol, len);
            rest = memmem(d->set, d->set_len, package, len + 2) != NULL ? dot + 1 : rest;
        }
    }
    if (rest == symbol) {
        return false;
    }
    for (;;) {
        size_t len = strcspn(rest, ".");
        if (!file_has(d, rest, len)) {
            return false;
        }
        if (rest[len] == '\0') {
            return true;
        }
        rest += len + 1;
    }
}

static const struct descriptor *find(const char *text, bool by_name)
{
    for (size_t i = 0; i < descriptors_count; i++) {
        if (by_name ? strcmp(descriptors[i].name, text) == 0 : declares(&descriptors[i], text)) {
            return &descriptors[i];
        }
    }
    return NULL;
}

static void respond(struct exchange *x, const request_message *request, response_message *response)
{
    struct talk *t = x->state;
    response->valid_host = request->host;
    response->original_request = (request_message *)(uintptr_t)request;
    frame_put(&t->out, &response->base);
}

static void say_error(struct exchange *x, const request_message *request, int code,
                      const char *message)
{
    Grpc__Reflection__V1__ErrorResponse error = GRPC__REFLECTION__V1__ERROR_RESPONSE__INIT;
    response_message response = GRPC__REFLECTION__V1__SERVER_REFLECTION_RESPONSE__INIT;
    error.error_code = code;
    error.error_message = frame_text(message);
    response.message_response_case =
        GRPC__REFLECTION__V1__SERVER_REFLECTION_RESPONSE__MESSAGE_RESPONSE_ERROR_RESPONSE;
    response.error_response = &error;
    respond(x, request, &response);
}

static void say_file(struct exchange *x, const request_message *request,
                     const ProtobufCBinaryData *asked, bool by_name)
{
    struct talk *t = x->state;
    const char *text = arena_text(&t->arena, asked);
    const struct descriptor *found = text != NULL ? find(text, by_name) : NULL;
    if (found == NULL) {
        say_error(x, request, 5, "there is no such file or symbol");
        return;
    }
    Grpc__Reflection__V1__FileDescriptorResponse files =
        GRPC__REFLECTION__V1__FILE_DESCRIPTOR_RESPONSE__INIT;
    response_message response = GRPC__REFLECTION__V1__SERVER_REFLECTION_RESPONSE__INIT;
    ProtobufCBinaryData file = file_of(found);
    files.n_file_descriptor_proto = 1;
    files.file_descriptor_proto = &file;
    response.message_response_case =
        GRPC__REFLECTION__V1__SERVER_REFLECTION_RESPONSE__MESSAGE_RESPONSE_FILE_DESCRIPTOR_RESPONSE;
    response.file_descriptor_response = &files;
    respond(x, request, &response);
}

static void say_services(struct exchange *x, const request_message *request)
{
    Grpc__Reflection__V1__ServiceResponse names[ARRAY_LENGTH(calls)], *list[ARRAY_LENGTH(calls)];
    Grpc__Reflection__V1__ListServiceResponse services =
        GRPC__REFLECTION__V1__LIST_SERVICE_RESPONSE__INIT;
    response_message response = GRPC__REFLECTION__V1__SERVER_REFLECTION_RESPONSE__INIT;
    for (size_t i = 0; i < ARRAY_LENGTH(calls); i++) {
        if (i > 0 && strcmp(calls[i].service, calls[i - 1].service) == 0) {
            continue; /* the table has them together */
        }
        Grpc__Reflection__V1__ServiceResponse *name = &names[services.n_service];
        grpc__reflection__v1__service_response__init(name);
        name->name = frame_text(calls[i].service);
        list[services.n_service++] = name;
    }
    services.service = list;
    response.message_response_case =
        GRPC__REFLECTION__V1__SERVER_REFLECTION_RESPONSE__MESSAGE_RESPONSE_LIST_SERVICES_RESPONSE;
    response.list_services_response = &services;
    respond(x, request, &response);
}

enum next grpc_reflection(struct exchange *x)
{
    (void)talk_turn(x, sizeof(struct talk), SMALL_BODY_BYTES_MAX, NULL);
    const request_message *request =
        (const void *)talk_next(x, &grpc__reflection__v1__server_reflection_request__descriptor);
    if (request == NULL) {
        return NEXT_RESPOND;
    }
    switch (request->message_request_case) {
    case GRPC__REFLECTION__V1__SERVER_REFLECTION_REQUEST__MESSAGE_REQUEST_LIST_SERVICES:
        say_services(x, request);
        break;
    case GRPC__REFLECTION__V1__SERVER_REFLECTION_REQUEST__MESSAGE_REQUEST_FILE_BY_FILENAME:
        say_file(x, request, &request->file_by_filename, true);
        break;
    case GRPC__REFLECTION__V1__SERVER_REFLECTION_REQUEST__MESSAGE_REQUEST_FILE_CONTAINING_SYMBOL:
        say_file(x, request, &request->file_containing_symbol, false);
        break;
    default:
        say_error(x, request, 12, "there are no extensions");
        break;
    }
    return NEXT_RESPOND;
}

const struct duplex_kind reflection_duplex = {
    .take = talk_take, .has_work = talk_has_work, .read = talk_read};
