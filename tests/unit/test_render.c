/* The representation of instances and events: nothing in the tables is left out. */
#include "tests/unit/registry_fixture.h"

#include "api/core/render.h"

static void assert_says(const struct buffer *text, const char *name, const char *value)
{
    char member[64];
    (void)snprintf(member, sizeof member, "\"%s\":%s", name, value);
    if (strstr((const char *)text->data, member) == NULL) {
        fail_msg("%s is not in %s", member, (const char *)text->data);
    }
}

/* Each text field has its own name as value, and each other field a different number. */
static struct registration named(void)
{
    struct registration g = {0};
    unsigned number = 1;
#define TEXT(field, name, limit)        g.field = slice_of(name);
#define NUMBER(field, name, type, most) g.field = (type)(1000 * number++);
#include "server/registry/fields.def"
    (void)number;
    return g;
}

static void every_field_of_an_instance_is_said(void **state)
{
    const struct registration g = named();
    struct record *record = record_create(&g);
    struct buffer text;
    buffer_init(&text, 64 * 1024);
    struct json_out json = json_out_to(&text);
    (void)state;
    render_instance(&json, record);
    buffer_append(&text, "", 1);
#define TEXT(field, name, limit)        assert_says(&text, name, "\"" name "\"");
#define NUMBER(field, name, type, most) assert_says(&text, name, "");
#include "server/registry/fields.def"
    buffer_done(&text);
    free(record);
}

static void every_kind_of_event_has_a_name_that_is_read_back(void **state)
{
    (void)state;
    for (enum event_type type = 0; type < EVENT_TYPES; type++) {
        enum event_type back = EVENT_TYPES;
        assert_true(event_type_parse(event_type_name(type), &back));
        assert_int_equal(back, type);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_field_of_an_instance_is_said),
        cmocka_unit_test(every_kind_of_event_has_a_name_that_is_read_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
