/* Strict parsing and formatting of small texts written by people: numbers, durations, addresses,
 * times; and a check for printable UTF-8.
 *
 * Thread: any. Independent of the locale. */
#ifndef MUSTER_BASE_TEXT_H
#define MUSTER_BASE_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "server/base/compiler.h"

/* "2026-11-21T02:36:00.000Z" and its NUL. */
#define TEXT_TIME_SIZE 32

/* Decimal digits only, the whole text, no sign or space; false if empty or above `max`. */
MUST_USE bool text_parse_u64(const char *text, uint64_t max, uint64_t *ret_value);
/* `250ms`, `30s`, `5m`, `1h`, or a plain number of seconds, decimals allowed ("0.5", "1.5s").
 * Returns milliseconds; 1 for anything less that is not 0. False if malformed or above UINT32_MAX
 * milliseconds. */
MUST_USE bool text_parse_duration_ms(const char *text, uint64_t *ret_ms);
/* "4096", "64KiB", "2MiB", "4GiB" or "1TiB". */
MUST_USE bool text_parse_size(const char *text, uint64_t max, uint64_t *ret_bytes);
/* Splits "host:port" or "[ipv6]:port". `host` gets at most host_size - 1 bytes, and may be empty
 * (":9000"). The port must be 1..65535. */
MUST_USE bool text_parse_address(const char *text, char *host, size_t host_size,
                                 uint16_t *ret_port);
/* No host, or a wildcard address: can be listened on, not dialled. */
bool text_is_any_host(const char *host);
/* The length of the well-formed UTF-8 sequence at `text` (of at most `left` bytes, at least 1) and
 * its code point; 0 if ill-formed. */
size_t text_next(const char *text, size_t left, uint32_t *ret_code);
/* No control character (C0, DEL, C1). */
bool text_code_is_printable(uint32_t code);
/* Valid UTF-8 (RFC 3629: no overlong forms, no surrogates) without control characters
 * (C0, DEL, C1). */
MUST_USE bool text_is_printable(const char *text, size_t len);
/* Of a token of HTTP (RFC 9110): a method, or the name of a header. */
bool text_is_token_byte(char c);
/* 0 to 15; -1 if it is not a hexadecimal digit. */
int text_hex_digit(char c);
/* Strips surrounding white space (space, tab, CR, LF), in place. */
char *text_trim(char *text);
/* In decimal, at the end of `out`; returns its start. NUL-terminated. */
#define TEXT_U64_SIZE 21
const char *text_format_u64(uint64_t value, char out[TEXT_U64_SIZE]);
/* RFC 3339 in UTC with milliseconds. */
void text_format_time(int64_t wall_ms, char out[TEXT_TIME_SIZE]);

#endif
