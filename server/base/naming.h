/* Whether a text may stand where people and programs read names: texts that look like another one,
 * or that turn a listing or a log line around, are refused; and whether a host is one that others
 * can dial.
 *
 * Thread: any. Nothing here depends on the locale, and nothing is looked up. */
#ifndef MUSTER_BASE_NAMING_H
#define MUSTER_BASE_NAMING_H

#include <stdbool.h>
#include <stddef.h>

#include "server/base/compiler.h"

/* Printable (text_is_printable), without bidirectional controls and without line and paragraph
 * separators. For texts that are only shown, such as notes. May be empty. */
MUST_USE bool naming_is_text(const char *text, size_t len);
/* The same without characters that are not seen (Unicode's Default_Ignorable_Code_Point, such as
 * the zero-width space), and not white space alone. For ids and names. False when empty. */
MUST_USE bool naming_is_name(const char *text, size_t len);
/* A host name, or an IPv4 or IPv6 address without brackets, that another machine can connect to: no
 * scheme, port, path or white space, no zone of an interface, and not an address that stands for
 * all of a machine. Names are ASCII, and may have underscores. */
MUST_USE bool naming_is_host(const char *text, size_t len);

#endif
