/* DNS messages as they are sent (RFC 1035, 6891): a question is parsed, an answer is written.
 *
 * Everything of a question is checked here, and nothing that it says is believed: names are not
 * compressed in a question, so that no pointer can lead anywhere.
 *
 * Thread: any. Owns: nothing; does not allocate. */
#ifndef MUSTER_API_DNS_WIRE_H
#define MUSTER_API_DNS_WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "server/base/compiler.h"
#include "server/base/limits.h"

#define DNS_HEADER_BYTES 12
#define DNS_NAME_BYTES   255 /* with the lengths of its labels and the root */
#define DNS_LABEL_BYTES  LABEL_BYTES_MAX
#define DNS_LABELS_MAX   127
#define DNS_PLAIN_BYTES  512 /* the most over UDP without EDNS0 */
#define DNS_OPT_BYTES    11
#define DNS_CLASS_IN     1
#define DNS_CLASS_ANY    255

enum dns_type {
    DNS_A = 1,
    DNS_NS = 2,
    DNS_CNAME = 5,
    DNS_SOA = 6,
    DNS_PTR = 12,
    DNS_AAAA = 28,
    DNS_SRV = 33,
    DNS_OPT = 41,
    DNS_IXFR = 251,
    DNS_AXFR = 252,
    DNS_ANY = 255,
};

enum dns_code {
    DNS_NOERROR = 0,
    DNS_FORMERR = 1,
    DNS_SERVFAIL = 2,
    DNS_NXDOMAIN = 3,
    DNS_NOTIMP = 4,
    DNS_REFUSED = 5,
    DNS_BADVERS = 16,
};

/* A name: labels with their lengths, then the root. */
struct dns_name {
    uint8_t bytes[DNS_NAME_BYTES];
    uint8_t len;
};

struct dns_question {
    uint16_t id;
    uint8_t opcode;
    bool recursion_desired, checking_disabled;
    bool has_name; /* the name, type and class could be read */
    bool has_edns;
    uint16_t udp_size;     /* the most that the asker takes over UDP: at least DNS_PLAIN_BYTES */
    struct dns_name name;  /* as it was asked */
    struct dns_name lower; /* in lower case */
    uint16_t type, class;
    size_t end; /* of the question's section in the message */
};

/* False: not to be answered at all, as it is too short or an answer itself. *ret_code: DNS_NOERROR,
 * or what to answer. */
MUST_USE bool dns_question_parse(const uint8_t *message, size_t len, struct dns_question *ret,
                                 enum dns_code *ret_code);

/* From "consul." or "sd.example.com", in lower case. False if it is no such name. */
MUST_USE bool dns_name_parse(const char *text, struct dns_name *ret_name);
/* Whether `name` is `domain` or below it; both in lower case. *ret_above: bytes before it. */
bool dns_name_is_below(const struct dns_name *name, const struct dns_name *domain,
                       size_t *ret_above);
uint8_t dns_lower(uint8_t byte);

/* --- an answer --- */

enum dns_section { DNS_ANSWER, DNS_AUTHORITY, DNS_ADDITIONAL, DNS_SECTIONS };

/* Records are written whole or not at all: what is over the limit is taken back. */
struct dns_message {
    uint8_t *data;
    size_t len;
    size_t limit; /* without what OPT needs */
    bool is_full; /* the record being written is over the limit */
    uint16_t counts[DNS_SECTIONS];
    size_t begun; /* of the record being written */
    size_t rdata; /* likewise: where its data begins */
};

/* With the header, and the question if it has one. `room` is at least DNS_PLAIN_BYTES. */
void dns_message_begin(struct dns_message *m, uint8_t *data, size_t room,
                       const struct dns_question *question);
void dns_put_u8(struct dns_message *m, uint8_t value);
void dns_put_u16(struct dns_message *m, uint16_t value);
void dns_put_u32(struct dns_message *m, uint32_t value);
void dns_put(struct dns_message *m, const void *data, size_t len);
/* A pointer to a name that stands at that offset. False if none can point so far. */
MUST_USE bool dns_put_pointer(struct dns_message *m, size_t offset);
void dns_put_name(struct dns_message *m, const struct dns_name *name);
/* `text` as labels, without the root. False, with the message as before, if it has an empty or too
 * long label, which no text of ours has. */
bool dns_put_labels(struct dns_message *m, const char *text);
/* The owner of the record has been put since dns_record_mark(); its data follows. */
void dns_record_mark(struct dns_message *m);
void dns_record_begin(struct dns_message *m, uint16_t type, uint32_t ttl_s);
/* False: there is no room, and it is not there. */
bool dns_record_end(struct dns_message *m, enum dns_section section);
/* Takes back what was put since dns_record_mark(). */
void dns_record_drop(struct dns_message *m);
/* Header and OPT. Returns the length. `udp_size`: the most that we take over UDP. */
MUST_USE size_t dns_message_end(struct dns_message *m, const struct dns_question *question,
                                enum dns_code code, bool authoritative, bool truncated,
                                uint16_t udp_size);

#endif
