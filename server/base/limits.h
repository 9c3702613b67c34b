/* Every bound of Muster in one place, with its reason. Relations between bounds are asserted.
 *
 * The limits on what users send are the contract of api/openapi.yaml. The effect of a log entry
 * does not depend on these, but on the limits of the replicated level (server/registry/level.h). */
#ifndef MUSTER_BASE_LIMITS_H
#define MUSTER_BASE_LIMITS_H

#include <assert.h>

/* --- what users send (bytes; a NUL is never counted) --- */
#define NAME_BYTES_MAX           255                  /* id, name, type, zone */
#define HOST_BYTES_MAX           255                  /* a DNS name is at most 253 */
#define ADDRESS_SIZE             (HOST_BYTES_MAX + 9) /* "[host]:65535" and its NUL */
#define TAGS_MAX                 64
#define TAG_BYTES_MAX            255
#define METADATA_MAX             64
#define METADATA_KEY_BYTES_MAX   128
#define METADATA_VALUE_BYTES_MAX 512
#define NOTE_BYTES_MAX           512 /* also for the reason of a maintenance */
/* The note of a check: 4096 bytes of output, and how much was cut off. */
#define OUTPUT_BYTES_MAX         4160
#define WEIGHT_MAX               65535
#define TTL_MS_MIN               1000
#define TTL_MS_MAX               (24 * 3600 * 1000)
#define REAP_AFTER_MS_MAX        (7 * 24 * 3600 * 1000)
#define REGISTER_BODY_BYTES_MAX  (64 * 1024)
#define HEARTBEAT_BODY_BYTES_MAX (1024 * 1024)
#define HEARTBEAT_IDS_MAX        10000
#define TOKEN_BODY_BYTES_MAX     (32 * 1024)
#define SMALL_BODY_BYTES_MAX     (8 * 1024) /* maintenance: an enabled flag and a reason */
#define EMPTY_BODY_BYTES_MAX     64         /* JSON without content, where no body belongs */
#define WAIT_MS_MAX              (10 * 60 * 1000)
#define WAIT_MS_DEFAULT          (30 * 1000)
#define PAGE_LIMIT_MAX           10000

/* --- HTTP --- */
#define HTTP_CONNECTIONS_MAX 16384 /* for all workers together */
#define HTTP_THREADS_MAX     64
/* A request's target: a filter of 64 tags of 255 bytes, half of them escaped. Its head: that, and
 * cookies. */
#define HTTP_TARGET_BYTES_MAX (32 * 1024)
#define HTTP_HEAD_BYTES_MAX   (64 * 1024)
#define HTTP_FIELDS_MAX       128
/* Time limits: of a connection without a request; of a head, from its first byte to its last; and
 * of a body, which must also arrive at the minimum rate. */
#define HTTP_IDLE_MS     (120 * 1000)
#define HTTP_HEAD_MS     (10 * 1000)
#define HTTP_BODY_MS_MAX (60 * 1000)
/* The minimum rate of a client that sends a body or reads a response, measured over this time. */
#define HTTP_RATE_MS        (10 * 1000)
#define HTTP_RATE_BYTES_MIN (10 * 1024)
/* What the kernel buffers of a response beyond the client's window. */
#define HTTP_UNSENT_BYTES_MAX (128 * 1024)
/* After a response that ends a connection: time for the client to see it, though it is still
 * sending. */
#define HTTP_LINGER_MS 1000
/* Limit on responses that wait to be read, and request bodies being received, over all connections;
 * those below BUDGET_FREE_BYTES are not counted. Text shared by many responses counts once. */
#define HTTP_ANSWERS_BYTES_MAX (256u * 1024 * 1024)
/* What the kernel buffers of a response beyond what it can send at once: otherwise it would take
 * all of it. */
#define HTTP_UNSENT_BYTES     (128 * 1024)
#define HTTP_BODIES_BYTES_MAX (64u * 1024 * 1024)
/* Responses are compressed from this size on: smaller ones fit a packet. A body above the other
 * size would delay all clients of a thread. What a thread compresses in a second costs it about an
 * eighth of a core; beyond that, bodies are sent uncompressed. */
#define GZIP_BYTES_MIN      1400
#define GZIP_BODY_BYTES_MAX (8u * 1024 * 1024)
#define GZIP_BYTES_A_SECOND (16u * 1024 * 1024)
/* An event as text: the largest record twice (each byte may be escaped) and its keys. */
#define EVENT_TEXT_BYTES_MAX (160 * 1024)
/* What the kernel buffers for a client of an event stream that does not read. */
#define STREAM_SOCKET_BYTES (64 * 1024)
/* A client is disconnected if it reads nothing of a backup for DOWNLOAD_STUCK_MS, or needs longer
 * than DOWNLOAD_MS_MAX for all of it: it holds one of few slots. */
#define DOWNLOAD_STUCK_MS (30 * 1000)
#define DOWNLOAD_MS_MAX   (60 * 60 * 1000)

/* --- HTTP/2 --- */
/* Open requests: of one connection, and of all of a worker. More are refused: surely not done. */
#define H2_STREAMS_MAX      256
#define H2_STREAMS_A_WORKER 16384
/* What a connection may send that asks for nothing: at once, and in each second. Each request, and
 * each frame of a body or of an answer, gives it some more: a client may answer each with a window
 * of the stream, one of the connection, and a ping. */
#define H2_NOISE_MAX      1000
#define H2_NOISE_A_SECOND 100
#define H2_NOISE_OF_WORK  4
/* Requests that it may take back: their work may be done already. */
#define H2_RESETS_MAX      1000
#define H2_RESETS_A_SECOND 50
/* Frames of one head beyond its first. */
#define H2_CONTINUATIONS_MAX 8
/* Answers to pings and settings that wait to be sent. */
#define H2_ACKS_MAX 256
/* Of a connection with requests on their way: silent for so long it is asked for a sign of life,
 * and closed when that does not come. */
#define H2_PING_MS         15000
#define H2_PING_TIMEOUT_MS 10000
/* What all bodies of a connection may bring before more is asked for. */
#define H2_WINDOW_BYTES (1024 * 1024)

/* --- gRPC --- */
/* Of its own port: connections and threads, and their descriptors. On --http it has those of HTTP.
 */
#define GRPC_CONNECTIONS_MAX 2048
#define GRPC_THREADS         2
#define DESCRIPTORS_OF_GRPC  (GRPC_THREADS * (DESCRIPTORS_A_WORKER + HTTP_SPARE_A_WORKER_MAX) + 1)

/* --- ZeroMQ --- */
/* Of a request, each of its few frames: the largest registration, like REGISTER_BODY_BYTES_MAX. */
#define ZMQ_FRAME_BYTES_MAX (64 * 1024)
/* Its clients wait 500 ms, and then take a later answer for that to their next request. */
#define ZMQ_ANSWER_MS 400
/* Writes that the node has. */
#define ZMQ_WRITES_MAX 8192
/* One answer: some 40,000 services. */
#define ZMQ_ANSWER_BYTES_MAX (16 * 1024 * 1024)
/* Events that wait for one subscriber. */
#define ZMQ_EVENTS_WAITING_MAX 4096
/* All that waits to be sent. What is small is sent when that is used up, too: errors are. */
#define ZMQ_WAITING_BYTES_MAX (64u * 1024 * 1024)
#define ZMQ_SMALL_BYTES       512
/* All frames of a message, and all that has come of such as are not complete. */
#define ZMQ_MESSAGE_BYTES_MAX   (128 * 1024)
#define ZMQ_UNREAD_BYTES_MAX    (32u * 1024 * 1024)
#define ZMQ_HANDSHAKE_BYTES_MAX 1024
/* Connections of clients; but no more than this part of all descriptors. Sockets that listen, an
 * epoll set and the way back from the loop. */
#define ZMQ_SHARE 8
/* Of the door of Docker Swarm: its port, the stream of events, requests at once. */
#define DESCRIPTORS_OF_SWARM    48
#define DESCRIPTORS_OF_ZMQ      5
#define SWARM_CONNECTIONS_MAX   128 /* of the port for Docker Swarm's clients */
#define ZMQ_CONNECTIONS_MIN     8
#define ZMQ_CONNECTIONS_DEFAULT 4096
#define ZMQ_CONNECTIONS_MAX     65536
/* A key of CURVE in Z85. */
#define ZMQ_KEY_TEXT 40
/* A connection that does not say what it is, does not end its message, or is silent. */
#define ZMQ_HANDSHAKE_MS    2000
#define ZMQ_MESSAGE_MS      10000
#define ZMQ_PING_MS         2000
#define ZMQ_PING_TIMEOUT_MS 3000

/* --- DNS --- */
/* An answer over UDP, if the asker takes it: above an Ethernet's 1,500 bytes it travels in pieces.
 */
#define LABEL_BYTES_MAX   63
#define DNS_UDP_BYTES_MIN 512
#define DNS_UDP_BYTES_MAX 4096
/* Connections, which are for what does not fit: a quarter of them for one address. */
#define DNS_CONNECTIONS_MAX 256
/* For each question, and for taking each answer. */
#define DNS_TCP_IDLE_MS (10 * 1000)
/* So that a name below the domain is none too long (RFC 1035). */
#define DNS_DOMAIN_BYTES_MAX 120
/* Beside its connections: sockets, an epoll, an eventfd. */
#define DESCRIPTORS_OF_DNS 4

/* --- active checks, which replicas run --- */
/* Connections to targets of one replica, but no more than this part of all descriptors: most are
 * kept for the next run; this part are runs under way. */
#define CHECK_CONNECTIONS_MAX       2048
#define CHECK_CONNECTIONS_MIN       4
#define CHECK_CONNECTIONS_UNDER_WAY 4
#define CHECK_SHARE                 16
/* Beside its connections: an epoll set, the way back from the loop, look-ups. */
#define DESCRIPTORS_OF_CHECKS 4

/* --- the registry --- */
/* Leases have 24-bit slots. */
#define INSTANCES_MAX (1u << 24)
/* An incarnation is index * 65536 + position: below 2^53, so that JSON numbers can represent it. */
#define INCARNATION_POSITION_BITS 16
/* Checks of one registration, and what a door keeps with an instance or a check. */
#define CHECKS_MAX      16
#define EXTRA_BYTES_MAX 4096
/* Definitions of checks that replicas run. All of one is kept, as JSON, within EXTRA_BYTES_MAX. */
#define CHECK_INTERVAL_MS_MIN     1000
#define CHECK_INTERVAL_MS_MAX     (24 * 3600 * 1000)
#define CHECK_INTERVAL_MS_DEFAULT 10000
#define CHECK_TIMEOUT_MS_MIN      10
#define CHECK_TIMEOUT_MS_MAX      (60 * 1000)
#define CHECK_TIMEOUT_MS_DEFAULT  10000
#define CHECK_RESULTS_MAX         100  /* in a row, before the status changes */
#define CHECK_TARGET_BYTES_MAX    1024 /* a URL, or an address and a service */
#define CHECK_METHOD_BYTES_MAX    16
#define CHECK_HEADERS_MAX         16 /* and all of their bytes */
#define CHECK_HEADERS_BYTES_MAX   1024
#define CHECK_HEADER_BYTES_MAX    512 /* a value; a name has NAME_BYTES_MAX */
#define CHECK_BODY_BYTES_MAX      2048
#define CHECK_NAME_BYTES_MAX      253 /* a host that a certificate is for */
/* Events kept for resuming streams: their number, and as many KiB. The default is that of
 * --events-kept. */
#define EVENTS_KEPT_DEFAULT 8192
#define EVENTS_KEPT_MIN     16
#define EVENTS_KEPT_MAX     (256 * 1024)
#define EVENT_BYTES_MEAN    1024
/* Tokens and policies: each is small, and all are walked when one is removed. A hundred years. */
#define TOKENS_MAX       4096
#define TOKEN_SCOPES_MAX 32
#define TOKEN_TTL_S_MAX  3153600000u
/* Namespaces: any number may be in use, as they cost what is in them; so many have a quota. */
#define NAMESPACE_BYTES_MAX  63
#define NAMESPACES_MAX       4096
#define NAMESPACE_WRITES_MAX 1000000 /* a second */
/* The name of a client's certificate. */
#define CERTIFICATE_NAME_BYTES_MAX 254
/* Bounds of --state-bytes. */
#define STATE_BOUND_MIN (1024 * 1024)
#define STATE_BOUND_MAX (1024ull * 1024 * 1024 * 1024)

/* --- replication: limits of an entry are part of its format, by version and level --- */
/* Servers in a configuration: members, and one of them twice while its directory is replaced. */
#define MEMBERS_MAX         10
#define CLUSTER_MEMBERS_MAX (MEMBERS_MAX - 1)
/* Links of a member: to those of its configuration, to as many that it is about to learn of, and to
 * those of its list. */
#define LINKS_MAX (3 * MEMBERS_MAX)
/* A write of one client: the largest command is a register of about 60 KiB or a heartbeat of 10,000
 * ids of 255 bytes, which the replica resolves where it knows the instance. */
#define OP_BYTES_MAX (4 * 1024 * 1024)
/* What one replica sends to the leader at a time; the next waits until this one is settled. */
#define BATCH_BYTES_MAX (4 * 1024 * 1024 + 64 * 1024)
#define BATCH_OPS_MAX   8192
/* One log entry: at most a batch of each member, but not more than this unless one alone is. */
#define ENTRY_BYTES_MAX (5 * 1024 * 1024)
#define ENTRY_OPS_MAX   65535 /* a position in an entry has 16 bits */
/* Entries proposed and not applied yet: deep pipelines slow libraft down. */
#define ENTRIES_IN_FLIGHT_MAX 4
/* Entries in one AppendEntries message to a member that is catching up. */
#define APPEND_ENTRIES_MAX 12
/* Writes waiting at one replica: above this they are refused. Heartbeats, and all others, each. */
#define QUEUE_OPS_MAX   65536
#define QUEUE_BYTES_MAX (64 * 1024 * 1024)
/* Reads waiting for an index, a change or a leader proof. */
#define WAITERS_MAX 65536

/* --- links between members --- */
#define PEER_FRAME_BYTES_MAX (64 * 1024 * 1024)
/* A bulk message (a piece of a snapshot): no other message waits for more than one of them. */
#define PEER_BULK_BYTES_MAX  (1024 * 1024)
#define PEER_QUEUE_BYTES_MAX (96 * 1024 * 1024)
#define PEER_HANDSHAKE_MS    3000
#define PEER_SILENCE_MS      5000 /* without a reply: the connection is closed */
#define PEER_CONNECTIONS_MAX 64   /* incoming, including those in their handshake */
/* An eavesdropper on a handshake, or an impostor, can guess the secret offline. */
#define SECRET_BYTES_MIN 16
#define SECRET_BYTES_MAX 256
#define SECRET_NONE      "none" /* in place of an older one */

/* --- stalls: detected by the threads that serve HTTP, outside loop and disk --- */
#define STALL_GRAIN_MS  500  /* shorter ones are ignored */
#define STALL_COUNTS_MS 1000 /* counted, and logged at the end */
#define STALL_UNFIT_MS  2000 /* not ready; a leader steps aside; a loop takes nothing new */
#define LATE_MS         500  /* after its deadline a request is answered without the loop */

/* --- the process --- */
/* Descriptors that clients cannot take. Standard ones, directory, lock, log segments (two
 * descriptors each), snapshots written, sent and received, the loop's own, a lookup of each
 * member's name, the port: */
#define DESCRIPTORS_OF_LOOP  33
#define DESCRIPTORS_A_WORKER 4
#define PEER_CONNECTIONS_MIN 12 /* if there are few: all members, and some strangers */
#define HTTP_CONNECTIONS_MIN 4
/* Connections that a worker accepts above the limit of clients: for a refusal, or for /health. */
#define HTTP_SPARE_A_WORKER_MIN 2
#define HTTP_SPARE_A_WORKER_MAX 32
#define HTTP_SPARE_IDLE_MS      1000
/* Lines waiting for a blocked stderr; twice, as one half is being written. */
#define LOG_WAITING_BYTES_MAX (256 * 1024)
/* Lines waiting for the disk of the audit log; twice, likewise: some 10,000 lines. */
#define AUDIT_QUEUE_BYTES_MAX ((size_t)4 * 1024 * 1024)
/* How long an exiting process waits for the audit log. */
#define AUDIT_CLOSE_MS 2000
/* How long an exiting process waits for stderr to take its last lines. */
#define LAST_WORDS_MS 500

/* --- disk --- */
#define SNAPSHOT_LOG_BYTES_DEFAULT (32 * 1024 * 1024)
#define SNAPSHOT_LOG_BYTES_MIN     (64 * 1024)
#define SNAPSHOT_LOG_SHARE         2 /* share of a large snapshot, as log before the next */
/* Free space that a backup leaves for the log. */
#define BACKUP_SPACE_KEPT (64ull * 1024 * 1024)

static_assert(GZIP_BODY_BYTES_MAX <= GZIP_BYTES_A_SECOND,
              "any body may be compressed at some time");

static_assert(OP_BYTES_MAX < BATCH_BYTES_MAX, "a batch holds any op");
static_assert(PEER_CONNECTIONS_MIN > CLUSTER_MEMBERS_MAX, "all members can connect");
static_assert(EVENT_TEXT_BYTES_MAX >
                  2 * (5 * NAME_BYTES_MAX + TAGS_MAX * (TAG_BYTES_MAX + 2) +
                       METADATA_MAX * (METADATA_KEY_BYTES_MAX + METADATA_VALUE_BYTES_MAX + 3) +
                       2 * NOTE_BYTES_MAX + 1024),
              "any event fits");
static_assert(BATCH_BYTES_MAX < ENTRY_BYTES_MAX, "an entry holds any batch");
static_assert(ENTRY_BYTES_MAX < 8 * 1024 * 1024 - 65536, "an entry fits into a log segment");
static_assert(APPEND_ENTRIES_MAX * (ENTRY_BYTES_MAX + 64) < PEER_FRAME_BYTES_MAX,
              "a frame holds any AppendEntries message");
static_assert(ENTRY_OPS_MAX < (1 << INCARNATION_POSITION_BITS), "a position has 16 bits");
static_assert(HEARTBEAT_IDS_MAX * (NAME_BYTES_MAX + 3) < OP_BYTES_MAX, "ids unresolved fit an op");

#endif
