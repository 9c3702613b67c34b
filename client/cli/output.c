#include "client/cli/output.h"

#include <stdlib.h>
#include <string.h>

#include "server/base/buffer.h"
#include "server/base/check.h"
#include "server/base/mem.h"

#define CELL_BYTES_MAX (64 * 1024)

/* Bytes of the control character at p (C0, DEL, or C1 as UTF-8), 0 when it is none. */
static size_t control_length(const unsigned char *p)
{
    if (p[0] < 0x20 || p[0] == 0x7f) {
        return p[0] != '\0';
    }
    return p[0] == 0xc2 && p[1] >= 0x80 && p[1] < 0xa0 ? 2 : 0;
}

/* Line ends that are JSON's own layout may be kept; those within texts are escaped in it already.
 */
static void write_escaped(FILE *file, const char *text, bool keep_lines)
{
    const unsigned char *p = (const unsigned char *)text;
    while (*p != '\0') {
        size_t len = control_length(p);
        if (len == 0 || (keep_lines && *p == '\n')) {
            putc(*p++, file);
        } else {
            fprintf(file, "\\u%04x", p[len - 1]);
            p += len;
        }
    }
}

void output_text(FILE *file, const char *text)
{
    write_escaped(file, text, false);
}

const char *output_member(const json_t *object, const char *name)
{
    const char *text = json_string_value(json_object_get(object, name));
    return text != NULL ? text : "";
}

int output_format_address(char *out, size_t size, const char *host, json_int_t port)
{
    bool bare = strchr(host, ':') != NULL && host[0] != '[';
    return snprintf(out, size, "%s%s%s:%" JSON_INTEGER_FORMAT, bare ? "[" : "", host,
                    bare ? "]" : "", port);
}

void output_json(const json_t *json)
{
    char *text = json_dumps(json, JSON_INDENT(2));
    CHECK(text != NULL);
    write_escaped(stdout, text, true);
    putchar('\n');
    free(text);
}

void output_line(const json_t *json)
{
    char *text = json_dumps(json, JSON_COMPACT);
    CHECK(text != NULL);
    write_escaped(stdout, text, false);
    putchar('\n');
    free(text);
}

bool output_finish(void)
{
    return fflush(stdout) == 0 && !ferror(stdout);
}

static void append_value(struct buffer *cell, const json_t *value)
{
    if (json_is_string(value)) {
        buffer_append_text(cell, json_string_value(value));
    } else if (json_is_integer(value)) {
        buffer_printf(cell, "%" JSON_INTEGER_FORMAT, json_integer_value(value));
    } else if (json_is_real(value)) {
        buffer_printf(cell, "%g", json_real_value(value));
    } else if (json_is_boolean(value)) {
        buffer_append_text(cell, json_is_true(value) ? "yes" : "no");
    }
}

static void append_address(struct buffer *cell, const json_t *row)
{
    const char *host = json_string_value(json_object_get(row, "host"));
    json_int_t port = json_integer_value(json_object_get(row, "port"));
    if (host != NULL) {
        char address[OUTPUT_ADDRESS_SIZE];
        (void)output_format_address(address, sizeof address, host, port);
        buffer_append_text(cell, address);
    }
}

static char *make_cell(const json_t *row, const char *member)
{
    struct buffer cell;
    const json_t *value = json_object_get(row, member);
    buffer_init(&cell, CELL_BYTES_MAX);
    if (value == NULL && strcmp(member, "address") == 0) {
        append_address(&cell, row);
    }
    for (size_t i = 0; i < json_array_size(value); i++) {
        buffer_append_text(&cell, i > 0 ? "," : "");
        append_value(&cell, json_array_get(value, i));
    }
    append_value(&cell, value);
    char *text = cell.len > 0 ? mem_strndup((const char *)cell.data, cell.len) : mem_strdup("-");
    buffer_done(&cell);
    return text;
}

void table_init(struct table *table, const struct table_column *columns)
{
    *table = (struct table){.columns = columns};
    while (columns[table->columns_count].heading != NULL) {
        table->columns_count++;
    }
    CHECK(table->columns_count <= TABLE_COLUMNS_MAX);
}

void table_add(struct table *table, const json_t *row)
{
    if (table->rows == table->capacity) {
        table->capacity = table->capacity > 0 ? table->capacity * 2 : 64;
        table->cells = mem_realloc(table->cells,
                                   table->capacity * table->columns_count * sizeof *table->cells);
    }
    char **cells = table->cells + table->rows * table->columns_count;
    for (size_t i = 0; i < table->columns_count; i++) {
        cells[i] = make_cell(row, table->columns[i].member);
    }
    table->rows++;
}

/* Columns on a terminal, taking each character for one wide. */
static size_t width_of(const char *text)
{
    const unsigned char *p = (const unsigned char *)text;
    size_t width = 0;
    while (*p != '\0') {
        size_t control = control_length(p);
        if (control > 0) {
            width += strlen("\\u0000");
            p += control;
        } else {
            width += (*p & 0xc0) != 0x80;
            p++;
        }
    }
    return width;
}

static void print_cell(const char *text, size_t width, bool last)
{
    output_text(stdout, text);
    for (size_t i = width_of(text); !last && i < width + 2; i++) {
        putchar(' ');
    }
    if (last) {
        putchar('\n');
    }
}

void table_print(struct table *table)
{
    size_t count = table->columns_count, widths[TABLE_COLUMNS_MAX];
    for (size_t i = 0; i < count; i++) {
        widths[i] = width_of(table->columns[i].heading);
    }
    for (size_t i = 0; i < table->rows * count; i++) {
        size_t width = width_of(table->cells[i]);
        widths[i % count] = width > widths[i % count] ? width : widths[i % count];
    }
    for (size_t i = 0; i < count; i++) {
        print_cell(table->columns[i].heading, widths[i], i + 1 == count);
    }
    for (size_t i = 0; i < table->rows * count; i++) {
        print_cell(table->cells[i], widths[i % count], (i + 1) % count == 0);
        free(table->cells[i]);
    }
    free(table->cells);
}

void table_print_rows(const json_t *rows, const struct table_column *columns)
{
    struct table table;
    table_init(&table, columns);
    for (size_t i = 0; i < json_array_size(rows); i++) {
        table_add(&table, json_array_get(rows, i));
    }
    table_print(&table);
}
