#include "server/config.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "api/core/near.h"
#include "server/base/compiler.h"
#include "server/base/naming.h"
#include "server/base/text.h"
#include "server/config_internal.h"
#include "server/registry/check.h"

#define FILE_LINE_BYTES_MAX 8192
#define QUOTED_BYTES_MAX    100

static_assert(SNAPSHOT_LOG_BYTES_DEFAULT == 32 << 20, "config.def says 32MiB");
static_assert(HTTP_THREADS_MAX == 64, "config.def says 64");
static_assert(EVENTS_KEPT_DEFAULT == 8192 && EVENTS_KEPT_MIN == 16 && EVENTS_KEPT_MAX == 262144,
              "config.def has these numbers");
static_assert(SECRET_BYTES_MIN == 16 && SECRET_BYTES_MAX == 256, "config.def has these numbers");
static_assert(LOG_ERROR == 0 && LOG_WARN == 1 && LOG_INFO == 2 && LOG_DEBUG == 3 && LOG_TEXT == 0 &&
                  LOG_JSON == 1 && ANONYMOUS_DEFAULT == 0 && ANONYMOUS_NONE == 1 &&
                  ANONYMOUS_READ == 2 && ANONYMOUS_WRITE == 3 &&
                  sizeof(enum anonymous) == sizeof(unsigned) &&
                  sizeof(enum log_level) == sizeof(unsigned),
              "config.def lists the choices in this order");

/* Why a value was refused, not including where it came from. */
struct why {
    char text[512];
};

PRINTF_LIKE(2, 3) static bool refuse(struct why *why, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    (void)vsnprintf(why->text, sizeof why->text, format, args);
    va_end(args);
    return false;
}

/* The value if it fits an error message of one line, else "...". */
static const char *shown(const char *text)
{
    size_t len = strlen(text);
    return len <= QUOTED_BYTES_MAX && text_is_printable(text, len) ? text : "...";
}

struct key {
    const char *prose; /* a paragraph of --help; no other field is set then */
    const char *name;
    const char *variables[2];
    const char *placeholder;
    const char *initial;
    const char *range;
    const char *help;
    bool (*set)(const struct key *key, struct config *c, const char *text, struct why *why);
    size_t field; /* offset in struct config, for the setters that serve several keys */
    uint64_t min;
    uint64_t max;
    bool zero;                                   /* 0 is allowed as well */
    bool (*check)(const char *item, size_t len); /* for each item of a list */
    const char *choices[4];
    const char *bare; /* value of the flag when none is given; NULL: a value is required */
};

/* --- setters, named in config.def --- */

static bool refuse_range(const struct key *key, const char *text, struct why *why)
{
    return refuse(why, "\"%s\" is not allowed; use %s", shown(text), key->range);
}

static bool set_duration(const struct key *key, struct config *c, const char *text, struct why *why)
{
    uint64_t ms;
    if (!text_parse_duration_ms(text, &ms)) {
        return refuse(why, "\"%s\" is not a duration such as 250ms, 30s, 5m, 1h or 30",
                      shown(text));
    }
    if ((ms < key->min || ms > key->max) && !(ms == 0 && key->zero)) {
        return refuse_range(key, text, why);
    }
    *(uint32_t *)(void *)((char *)c + key->field) = (uint32_t)ms;
    return true;
}

/* Parses the number in text[0..len). */
static bool parse_number(const char *text, size_t len, uint64_t max, uint64_t *ret_value)
{
    char digits[24];
    if (len >= sizeof digits) {
        return false;
    }
    memcpy(digits, text, len);
    digits[len] = '\0';
    return text_parse_u64(digits, max, ret_value);
}

static bool set_size(const struct key *key, struct config *c, const char *text, struct why *why)
{
    uint64_t size;
    if (!text_parse_size(text, key->max, &size) || size < key->min) {
        return refuse_range(key, text, why);
    }
    *(uint64_t *)(void *)((char *)c + key->field) = size;
    return true;
}

static bool set_count(const struct key *key, struct config *c, const char *text, struct why *why)
{
    uint64_t count;
    if (!text_parse_u64(text, key->max, &count) || count < key->min) {
        return refuse_range(key, text, why);
    }
    *(unsigned *)(void *)((char *)c + key->field) = (unsigned)count;
    return true;
}

static bool set_text(const struct key *key, struct config *c, const char *text, struct why *why)
{
    size_t len = strlen(text);
    if (len == 0) {
        return refuse(why, "must not be empty");
    }
    if (len < key->min) {
        return refuse(why, "is too short and could be guessed; use %s", key->range);
    }
    if (len > key->max) {
        return refuse(why, "is longer than %" PRIu64 " bytes", key->max);
    }
    if (!text_is_printable(text, len)) {
        return refuse(why, "must be printable UTF-8");
    }
    memcpy((char *)c + key->field, text, len + 1);
    return true;
}

/* A comma-separated list, or "*" for all. */
static bool set_list(const struct key *key, struct config *c, const char *text, struct why *why)
{
    size_t size = strlen(text) + 1;
    if (size > CONFIG_TEXT_MAX) {
        return refuse(why, "is longer than %d bytes", CONFIG_TEXT_MAX - 1);
    }
    for (const char *item = text; strcmp(text, "*") != 0;) {
        size_t len = strcspn(item, ",");
        if (!key->check(item, len)) {
            return refuse_range(key, text, why);
        }
        if (item[len] == '\0') {
            break;
        }
        item += len + 1;
    }
    memcpy((char *)c + key->field, text, size);
    return true;
}

/* A service name. */
static bool set_service(const struct key *key, struct config *c, const char *text, struct why *why)
{
    struct problem problem;
    if (!registration_check_name("", slice_of(text), &problem)) {
        return refuse(why, "%s", problem.message);
    }
    return set_text(key, c, text, why);
}

static bool parse_address(const char *text, bool dialled, char out[ADDRESS_SIZE], struct why *why)
{
    char host[HOST_BYTES_MAX + 1];
    uint16_t port;
    size_t len = strlen(text);
    if (len >= ADDRESS_SIZE || !text_is_printable(text, len) ||
        !text_parse_address(text, host, sizeof host, &port)) {
        return refuse(why, "\"%s\" is not an address such as 10.0.0.5:9000 or [::1]:9000",
                      shown(text));
    }
    if (dialled && text_is_any_host(host)) {
        return refuse(why, "\"%s\" has no host that other members could connect to", shown(text));
    }
    memcpy(out, text, len + 1);
    return true;
}

static bool set_listen(const struct key *key, struct config *c, const char *text, struct why *why)
{
    return parse_address(text, false, (char *)c + key->field, why);
}

/* The same, also as ZeroMQ writes it: tcp://127.0.0.1:5556, and * for every address. */
static bool set_zmq(const struct key *key, struct config *c, const char *text, struct why *why)
{
    static const char scheme[] = "tcp://";
#ifndef MUSTER_ZMQ
    return refuse(why, "this musterd was built without ZeroMQ (MUSTER_ZMQ)");
#endif
    const char *address =
        strncmp(text, scheme, sizeof scheme - 1) == 0 ? text + sizeof scheme - 1 : text;
    if (address[0] == '*' && address[1] == ':') {
        address++;
    }
    return parse_address(address, false, (char *)c + key->field, why);
}

static bool set_dns(const struct key *key, struct config *c, const char *text, struct why *why)
{
#ifndef MUSTER_DNS
    return refuse(why, "this musterd was built without DNS (MUSTER_DNS)");
#endif
    return parse_address(text, false, (char *)c + key->field, why);
}

static bool set_label(const struct key *key, struct config *c, const char *text, struct why *why)
{
    return naming_is_label(text, strlen(text)) ? set_text(key, c, text, why)
                                               : refuse_range(key, text, why);
}

static bool set_domain(const struct key *key, struct config *c, const char *text, struct why *why)
{
    return naming_is_domain(text) ? set_text(key, c, text, why) : refuse_range(key, text, why);
}

static bool set_allow(const struct key *key, struct config *c, const char *text, struct why *why)
{
    return config_is_allow(text) ? set_text(key, c, text, why) : refuse_range(key, text, why);
}

static bool set_near(const struct key *key, struct config *c, const char *text, struct why *why)
{
    struct near near;
    return near_parse(text, &near) ? set_text(key, c, text, why) : refuse_range(key, text, why);
}

/* An address that others connect to. */
static bool set_dialled(const struct key *key, struct config *c, const char *text, struct why *why)
{
    return parse_address(text, true, (char *)c + key->field, why);
}

static bool set_id(const struct key *key, struct config *c, const char *text, struct why *why)
{
    if (!text_parse_u64(text, INT64_MAX, &c->id) || c->id == 0) {
        return refuse_range(key, text, why);
    }
    return true;
}

/* The values of the enum are the indexes of `choices`. */
static bool set_choice(const struct key *key, struct config *c, const char *text, struct why *why)
{
    for (unsigned i = 0; i < ARRAY_LENGTH(key->choices) && key->choices[i] != NULL; i++) {
        if (strcmp(text, key->choices[i]) == 0) {
            *(unsigned *)(void *)((char *)c + key->field) = i;
            return true;
        }
    }
    return refuse_range(key, text, why);
}

/* For --config: config_load has already read the file. */
static bool set_nothing(const struct key *key UNUSED, struct config *c UNUSED,
                        const char *text UNUSED, struct why *why UNUSED)
{
    return true;
}

static bool set_join(const struct key *key UNUSED, struct config *c, const char *text,
                     struct why *why)
{
    return servers_parse(text, &c->join, why->text, sizeof why->text);
}

/* An even number tolerates no more failures than the odd number below it. */
static bool set_voters(const struct key *key, struct config *c, const char *text, struct why *why)
{
    uint64_t voters;
    if (!text_parse_u64(text, key->max, &voters) || voters % 2 == 0) {
        return refuse_range(key, text, why);
    }
    c->voters = (unsigned)voters;
    return true;
}

/* `text` is "1=host:9100". */
static bool add_member(struct config *c, const char *text, struct why *why)
{
    uint64_t id;
    size_t len = strcspn(text, "=");
    if (text[len] != '=' || !parse_number(text, len, INT64_MAX, &id) || id == 0) {
        return refuse(why, "\"%s\" is not a member such as 1=host:9100", shown(text));
    }
    if (c->members_count == CLUSTER_MEMBERS_MAX) {
        return refuse(why, "there are more than %d members", CLUSTER_MEMBERS_MAX);
    }
    struct consensus_member *member = &c->members[c->members_count];
    if (!parse_address(text + len + 1, true, member->address, why)) {
        return false;
    }
    for (size_t i = 0; i < c->members_count; i++) {
        if (c->members[i].id == id) {
            return refuse(why, "member %" PRIu64 " is listed twice", id);
        }
        if (strcmp(c->members[i].address, member->address) == 0) {
            return refuse(why, "the address %s is listed twice", member->address);
        }
    }
    member->id = id;
    c->members_count++;
    return true;
}

static bool set_cluster(const struct key *key UNUSED, struct config *c, const char *text,
                        struct why *why)
{
    c->cluster_given = true;
    c->members_count = 0;
    for (;;) {
        char item[ADDRESS_SIZE + 24];
        size_t len = strcspn(text, ",");
        if (len >= sizeof item) {
            return refuse(why, "a member's address is too long");
        }
        memcpy(item, text, len);
        item[len] = '\0';
        if (!add_member(c, item, why)) {
            return false;
        }
        if (text[len] == '\0') {
            break;
        }
        text += len + 1;
    }
    config_sort_members(c);
    return true;
}

/* --- the table of keys --- */

static const struct key keys[] = {
#define PROSE(text) {.prose = (text)},
#define KEY(...)    {__VA_ARGS__},
#define FIELD(name) .field = offsetof(struct config, name)
#include "server/config.def"
#undef PROSE
#undef KEY
#undef FIELD
};

#define KEYS ARRAY_LENGTH(keys)

/* Returns KEYS if no key has this name. */
static size_t find_key(const char *name, size_t len)
{
    for (size_t i = 0; i < KEYS; i++) {
        if (keys[i].name != NULL && strlen(keys[i].name) == len &&
            memcmp(keys[i].name, name, len) == 0) {
            return i;
        }
    }
    return KEYS;
}

static void print_key(const struct key *key)
{
    printf("  --%s %s\n", key->name, key->placeholder);
    for (const char *line = key->help; line != NULL;) {
        size_t len = strcspn(line, "\n");
        printf("        %.*s\n", (int)len, line);
        line = line[len] == '\0' ? NULL : line + len + 1;
    }
    printf("        [%s", key->variables[0]);
    if (key->variables[1] != NULL) {
        printf(", %s", key->variables[1]);
    }
    if (key->range != NULL) {
        printf("; %s", key->range);
    }
    if (key->initial != NULL) {
        printf("; default %s", key->initial);
    }
    puts("]");
}

static void print_help(void)
{
    for (size_t i = 0; i < KEYS; i++) {
        if (keys[i].prose != NULL) {
            fputs(keys[i].prose, stdout);
        } else {
            print_key(&keys[i]);
        }
    }
}

/* --- sources of values --- */

/* Removes a comment: from a # at the start of the line or after a space. */
static void cut_comment(char *line)
{
    for (char *hash = strchr(line, '#'); hash != NULL; hash = strchr(hash + 1, '#')) {
        if (hash == line || hash[-1] == ' ' || hash[-1] == '\t') {
            *hash = '\0';
            return;
        }
    }
}

/* `first_line` records the line where each key was first set; 0: not set yet. */
static bool load_line(struct config *c, char *line, size_t number, size_t first_line[KEYS],
                      struct why *why)
{
    cut_comment(line);
    char *name = text_trim(line);
    if (*name == '\0') {
        return true;
    }
    char *equals = strchr(name, '=');
    if (equals == NULL) {
        return refuse(why, "not of the form key = value");
    }
    *equals = '\0';
    name = text_trim(name);
    const char *value = text_trim(equals + 1);
    size_t k = find_key(name, strlen(name));
    if (k == KEYS) {
        return refuse(why, "unknown key \"%s\"; see musterd --help", shown(name));
    }
    if (keys[k].set == set_nothing) {
        return refuse(why, "a configuration file cannot name another");
    }
    if (first_line[k] != 0) {
        return refuse(why, "%s is already set in line %zu", name, first_line[k]);
    }
    first_line[k] = number;
    struct why value_why;
    if (!keys[k].set(&keys[k], c, value, &value_why)) {
        return refuse(why, "%s: %s", name, value_why.text);
    }
    return true;
}

static bool load_file(struct config *c, const char *path, struct why *why)
{
    char line[FILE_LINE_BYTES_MAX];
    size_t first_line[KEYS] = {0};
    bool good = true;
    FILE *file = fopen(path, "re");
    if (file == NULL) {
        return refuse(why, "%s: %s", shown(path), strerror(errno));
    }
    long at = ftell(file); /* -1 for a pipe */
    for (size_t number = 1; good && fgets(line, sizeof line, file) != NULL; number++) {
        struct why line_why;
        bool has_nul = at >= 0 && (size_t)(ftell(file) - at) != strlen(line);
        at = ftell(file);
        if (has_nul || (strchr(line, '\n') == NULL && !feof(file))) {
            good = refuse(&line_why, "longer than %zu bytes, or not text", sizeof line - 2);
        } else {
            good = load_line(c, line, number, first_line, &line_why);
        }
        if (!good) {
            refuse(why, "%s:%zu: %s", shown(path), number, line_why.text);
        }
    }
    if (good && ferror(file)) {
        good = refuse(why, "%s: %s", shown(path), strerror(errno));
    }
    fclose(file);
    return good;
}

/* An empty variable counts as unset: container tools pass one for "no value". */
static const char *find_variable(const struct key *key,
                                 const char *(*environment)(const char *name),
                                 const char **ret_name)
{
    for (size_t i = 0; i < ARRAY_LENGTH(key->variables) && key->variables[i] != NULL; i++) {
        const char *value = environment(key->variables[i]);
        if (value != NULL && *value != '\0') {
            *ret_name = key->variables[i];
            return value;
        }
    }
    return NULL;
}

static bool load_environment(struct config *c, const char *(*environment)(const char *name),
                             struct why *why)
{
    for (size_t i = 0; i < KEYS; i++) {
        const char *name;
        const char *value = find_variable(&keys[i], environment, &name);
        struct why value_why;
        if (value != NULL && !keys[i].set(&keys[i], c, value, &value_why)) {
            return refuse(why, "%s: %s", name, value_why.text);
        }
    }
    return true;
}

/* Assigns the arguments to their keys. When a flag is repeated, the last one wins. */
static enum config_outcome scan_flags(int argc, char *const argv[], const char *values[KEYS],
                                      struct why *why)
{
    for (int i = 1; i < argc; i++) {
        const char *flag = argv[i];
        if (strcmp(flag, "--help") == 0 || strcmp(flag, "-h") == 0) {
            print_help();
            return CONFIG_HELP;
        }
        if (strcmp(flag, "--version") == 0) {
            puts("musterd " MUSTER_VERSION);
            return CONFIG_HELP;
        }
        size_t len = strcspn(flag, "=");
        size_t k = strncmp(flag, "--", 2) == 0 ? find_key(flag + 2, len - 2) : KEYS;
        if (k == KEYS) {
            refuse(why, "unknown option \"%s\"; see musterd --help", shown(flag));
            return CONFIG_INVALID;
        }
        if (flag[len] == '=') {
            values[k] = flag + len + 1;
        } else if (i + 1 < argc && strncmp(argv[i + 1], "--", 2) != 0) {
            values[k] = argv[++i];
        } else if (keys[k].bare != NULL) {
            values[k] = keys[k].bare;
        } else {
            refuse(why, "%s: needs a value (%s)", flag, keys[k].placeholder);
            return CONFIG_INVALID;
        }
    }
    return CONFIG_RUN;
}

/* Sets `values`, or the defaults when that is NULL. */
static bool apply(struct config *c, const char *const values[KEYS], struct why *why)
{
    for (size_t i = 0; i < KEYS; i++) {
        const char *value = values != NULL ? values[i] : keys[i].initial;
        struct why value_why;
        if (value != NULL && !keys[i].set(&keys[i], c, value, &value_why)) {
            return refuse(why, "--%s: %s", keys[i].name, value_why.text);
        }
    }
    return true;
}

enum config_outcome config_load(int argc, char *const argv[],
                                const char *(*environment)(const char *name),
                                struct config *ret_config, char *error, size_t error_size)
{
    struct config c = {.id = 0};
    struct why why;
    const char *flags[KEYS] = {NULL};
    const char *variable;
    enum config_outcome outcome = scan_flags(argc, argv, flags, &why);
    if (outcome == CONFIG_HELP) {
        return CONFIG_HELP;
    }
    size_t k = find_key("config", strlen("config"));
    const char *path =
        flags[k] != NULL ? flags[k] : find_variable(&keys[k], environment, &variable);
    if (outcome == CONFIG_RUN && apply(&c, NULL, &why) &&
        (path == NULL || load_file(&c, path, &why)) && load_environment(&c, environment, &why) &&
        apply(&c, flags, &why) && config_settle(&c, why.text, sizeof why.text)) {
        *ret_config = c;
        return CONFIG_RUN;
    }
    (void)snprintf(error, error_size, "%s", why.text);
    return CONFIG_INVALID;
}
