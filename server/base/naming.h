/* Valid texts for names and notes: refuses those that look like another one, or that reverse a
 * listing or a log line; and hosts that others can dial.
 *
 * Thread: any. Independent of the locale; looks nothing up. */
#ifndef MUSTER_BASE_NAMING_H
#define MUSTER_BASE_NAMING_H

#include <stdbool.h>
#include <stddef.h>

#include "server/base/compiler.h"

/* Printable (text_is_printable), without bidirectional controls and without line and paragraph
 * separators. For texts that are only displayed, such as notes. May be empty. */
MUST_USE bool naming_is_text(const char *text, size_t len);
/* The same without invisible characters (Unicode's Default_Ignorable_Code_Point, such as the
 * zero-width space), and not only white space. For ids and names. False if empty. */
MUST_USE bool naming_is_name(const char *text, size_t len);
/* A host name, or an IPv4 or IPv6 address without brackets, that another machine can connect to: no
 * scheme, port, path, white space or interface zone, and not a wildcard address. Names are ASCII,
 * and may have underscores. */
MUST_USE bool naming_is_host(const char *text, size_t len);
/* A namespace: 1 to NAMESPACE_BYTES_MAX lower-case letters, digits, '-', '_' and '.', first a
 * letter or digit. */
MUST_USE bool naming_is_namespace(const char *text, size_t len);
/* A label of DNS: 1 to 63 lower-case letters, digits, '-' and '_'. */
MUST_USE bool naming_is_label(const char *text, size_t len);
/* Such labels with dots between them, and possibly at the end. */
MUST_USE bool naming_is_domain(const char *text);
/* The name of a client's certificate, such as a common name or a SPIFFE id, that may be compared,
 * logged and used for permissions: printable ASCII of 1 to CERTIFICATE_NAME_BYTES_MAX bytes,
 * without '*', quotes and backslashes, and without spaces at its ends. */
MUST_USE bool naming_is_certificate(const char *text, size_t len);

#endif
