/* What people and scripts read on stdout: aligned tables, and JSON. Texts from the registry are
 * foreign: control characters in them are escaped (\u001b), so that they cannot steer a terminal.
 *
 * Owns: a table owns copies of its cells. */
#ifndef MUSTER_CLI_OUTPUT_H
#define MUSTER_CLI_OUTPUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include <jansson.h>

#define TABLE_COLUMNS_MAX 12
/* A host of up to 253 bytes, brackets, and a port. */
#define OUTPUT_ADDRESS_SIZE 512

/* Writes the text with control characters escaped. */
void output_text(FILE *file, const char *text);
/* A text of a foreign object; "" when it has none. */
const char *output_member(const json_t *object, const char *name);
/* Length of host:port, "[::1]:80" for an IPv6 address with or without brackets. */
int output_format_address(char *out, size_t size, const char *host, json_int_t port);
/* Indented, with a line end. */
void output_json(const json_t *json);
/* On one line. */
void output_line(const json_t *json);
/* Flushes stdout. False when something could not be written. */
bool output_finish(void);

/* A column is a heading and the member of a row's object that stands below it. */
struct table_column {
    const char *heading;
    const char *member;
};

struct table {
    const struct table_column *columns; /* borrowed; ends with one without a heading */
    size_t columns_count;
    char **cells;
    size_t rows;
    size_t capacity;
};

void table_init(struct table *table, const struct table_column *columns);
/* A text as it is, a list with commas, a truth as yes or no, what is empty or absent as "-". The
 * member "address" of an object without one is its host and port. */
void table_add(struct table *table, const json_t *row);
/* Prints headings and rows, and frees the cells. */
void table_print(struct table *table);
/* A table of these rows, whole. */
void table_print_rows(const json_t *rows, const struct table_column *columns);

#endif
