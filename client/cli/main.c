/* muster: the command line of the registry. The table of commands, and the way into one of them. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <curl/curl.h>

#include "client/cli/commands.h"
#include "client/cli/output.h"
#include "server/base/check.h"
#include "server/base/limits.h"
#include "server/base/naming.h"
#include "server/base/process.h"
#include "server/base/text.h"

#define DEFAULT_SERVER  "http://127.0.0.1:9000"
#define DEFAULT_TIMEOUT "10s"

static const struct args_option global_options[] = {
    {.name = "server"},
    {.name = "output"},
    {.name = "timeout"},
    {.name = "namespace"},
    {.name = "help", .bare = true, .repeated = true},
    {.name = "version", .bare = true, .repeated = true},
    {.name = NULL},
};

#define FILTER_OPTIONS                                                                             \
    {.name = "health", .repeated = true}, {.name = "type"}, {.name = "zone"},                      \
        {.name = "tag", .repeated = true},                                                         \
    {                                                                                              \
        .name = "meta", .repeated = true                                                           \
    }

#define FILTER_HELP                                                                                \
    "  --health LIST  any, or some of passing,warning,critical,maintenance\n"                      \
    "  --type T       --zone Z\n"                                                                  \
    "  --tag T        repeatable; all must match\n"                                                \
    "  --meta K=V     repeatable; all must match\n"

#define REGISTER_OPTIONS                                                                           \
    {.name = "port"}, {.name = "host"}, {.name = "id"}, {.name = "type"},                          \
        {.name = "tag", .repeated = true}, {.name = "meta", .repeated = true}, {.name = "ttl"},    \
        {.name = "zone"},                                                                          \
    {                                                                                              \
        .name = "weight"                                                                           \
    }

#define REGISTER_HELP                                                                              \
    "  --port P       where it listens\n"                                                          \
    "  --host H       default: the address that this machine calls from\n"                         \
    "  --id I         default: NAME and a random part. With an id the command may be repeated\n"   \
    "  --type T       --zone Z\n"                                                                  \
    "  --tag T        repeatable\n"                                                                \
    "  --meta K=V     repeatable\n"                                                                \
    "  --ttl D        such as 30s, 5m; default: what the server says\n"                            \
    "  --weight N     for the strategy `weighted`\n"

#define CHECK_HELP                                                                                 \
    "                 the replicas run it, and its health follows: http=URL, tcp=HOST:PORT or\n"   \
    "                 grpc=HOST:PORT[/SERVICE], then interval=10s, timeout=5s, rise=2, fall=3,\n"  \
    "                 method=HEAD, tls, skip_verify, deregister_after=1h, ... (muster(1)); or "    \
    "one\n"                                                                                        \
    "                 as JSON; repeatable. There is no lease then unless --ttl asks for one.\n"    \
    "                 none: without checks\n"

static const struct args_option register_options[] = {
    REGISTER_OPTIONS, {.name = "check", .repeated = true}, {.name = NULL}};
static const struct args_option run_options[] = {
    {.name = "name"},
    REGISTER_OPTIONS,
    {.name = "active-check", .repeated = true},
    {.name = "check"},
    {.name = "check-interval"},
    {.name = "check-timeout"},
    {.name = "unhealthy-after"},
    {.name = "healthy-after"},
    {.name = "drain"},
    {.name = "stop-timeout"},
    {.name = "adopt-environment", .bare = true},
    {.name = NULL},
};
static const struct args_option heartbeat_options[] = {
    {.name = "status"}, {.name = "note"}, {.name = "check"}, {.name = NULL}};
static const struct args_option maintenance_options[] = {{.name = "reason"}, {.name = NULL}};
static const struct args_option list_options[] = {
    {.name = "service"}, {.name = "checks", .bare = true}, FILTER_OPTIONS, {.name = NULL}};
static const struct args_option discover_options[] = {
    {.name = "strategy"}, {.name = "near"}, FILTER_OPTIONS, {.name = NULL}};

static const struct args_option watch_options[] = {
    {.name = "type"},
    {.name = "id"},
    {.name = "event", .repeated = true},
    {.name = "after"},
    {.name = "snapshot", .bare = true},
    {.name = NULL},
};

static const struct args_option ready_options[] = {{.name = "wait"}, {.name = NULL}};

static const struct args_option member_options[] = {{.name = "id"},
                                                    {.name = "force", .bare = true},
                                                    {.name = "dry-run", .bare = true},
                                                    {.name = NULL}};
static const struct args_option leader_options[] = {{.name = "dry-run", .bare = true},
                                                    {.name = NULL}};

#define RIGHTS_OPTIONS                                                                             \
    {.name = "service", .repeated = true}, {.name = "write", .bare = true}, {.name = "operator"},  \
        {.name = "metrics", .bare = true}, {.name = "events", .bare = true}, {.name = "ttl"},      \
    {                                                                                              \
        .name = "description"                                                                      \
    }

#define RIGHTS_HELP                                                                                \
    "  --namespace NS of services there alone, which need not be named then\n"                     \
    "  --service NAME that service; NAME*: those whose names begin so. Repeatable. To read, and\n" \
    "  --write        to register, renew and deregister, too\n"                                    \
    "  --operator A   read: status, backups, tokens, policies; write: also members, limits\n"      \
    "  --metrics      --events (of all services)\n"                                                \
    "  --ttl D        such as 90d or 12h (default: until it is taken away)\n"                      \
    "  --description TEXT\n"

static const struct args_option token_options[] = {RIGHTS_OPTIONS, {.name = NULL}};
static const struct args_option policy_options[] = {
    {.name = "subject"}, RIGHTS_OPTIONS, {.name = NULL}};

static const struct args_option namespace_options[] = {
    {.name = "instances"}, {.name = "bytes"}, {.name = "writes"}, {.name = NULL}};

static const struct args_option backup_options[] = {
    {.name = "verify", .bare = true},
    {.name = "force", .bare = true},
    {.name = "consistency"},
    {.name = NULL},
};

static const struct args_option tls_options[] = {
    {.name = "out"}, {.name = "days"}, {.name = "client"}, {.name = "uri"}, {.name = NULL}};

static const struct args_option zmq_key_options[] = {{.name = "out"}, {.name = NULL}};

static const struct args_option bench_options[] = {
    {.name = "connections"},
    {.name = "threads"},
    {.name = "duration"},
    {.name = "requests"},
    {.name = "warmup"},
    {.name = "rate"},
    {.name = "instances"},
    {.name = "services"},
    {.name = "ttl"},
    {.name = "batch"},
    {.name = "limit"},
    {.name = "consistency"},
    {.name = "watchers"},
    {.name = "via"},
    {.name = "prefix"},
    {.name = "reuse", .bare = true},
    {.name = "keep", .bare = true},
    {.name = NULL},
};

static const struct command commands[] = {
    {"register", cmd_register, register_options, "NAME --port P [OPTION]...",
     "add an instance of a service",
     "Prints the instance's id and incarnation. Its lease ends --ttl after the last heartbeat.\n"
     "\n" REGISTER_HELP "  --check KIND=TARGET[,KEY=VALUE]...\n" CHECK_HELP "\n"
     "Examples:\n"
     "  muster register web --port 8080\n"
     "  muster register web --id web-1 --host 10.0.0.5 --port 8080 --tag blue --meta rack=7\n"
     "  muster register web --id web-1 --host 10.0.0.5 --port 8080 \\\n"
     "      --check http=http://10.0.0.5:8080/health,interval=5s,fall=2\n"},
    {"heartbeat", cmd_heartbeat, heartbeat_options, "ID... [OPTION]...", "renew leases",
     "Exit status 1 when one of them is not registered: register it again.\n"
     "\n"
     "  --status S     passing, warning or critical (one ID only)\n"
     "  --note TEXT    why (one ID only)\n"
     "  --check C      of this one of its checks, which has a ttl (one ID only)\n"
     "\n"
     "Examples:\n"
     "  muster heartbeat web-1 web-2\n"
     "  muster heartbeat web-1 --status warning --note 'disk nearly full'\n"},
    {"deregister", cmd_deregister, NULL, "ID", "remove an instance at once",
     "Examples:\n"
     "  muster deregister web-1\n"},
    {"maintenance", cmd_maintenance, maintenance_options, "ID on|off [--reason R]",
     "hide an instance from discovery, or show it again",
     "The instance stays registered and keeps its lease.\n"
     "\n"
     "Examples:\n"
     "  muster maintenance web-1 on --reason 'new kernel'\n"
     "  muster maintenance web-1 off\n"},
    {"services", cmd_services, NULL, "", "list the services with counts by health",
     "Examples:\n"
     "  muster services\n"
     "  muster services --output json | jq -r '.services[].name'\n"},
    {"list", cmd_list, list_options, "[OPTION]...", "list instances, healthy or not",
     "  --service S    of this service only\n" FILTER_HELP
     "  --checks       their checks, a line each\n"
     "\n"
     "Examples:\n"
     "  muster list\n"
     "  muster list --service web --health critical,warning\n"},
    {"show", cmd_show_instance, NULL, "ID", "show one instance, with its lease and its checks",
     "Examples:\n"
     "  muster show web-1\n"
     "  muster show web-1 --output json | jq '.checks[] | {id, status, output}'\n"},
    {"discover", cmd_discover, discover_options, "SERVICE [OPTION]...",
     "print the host:port of one healthy instance",
     "Exit status 1 when there is none.\n"
     "\n"
     "  --strategy S   random (default), round_robin, first or weighted\n"
     "  --near ZONE    rather in this zone\n" FILTER_HELP "\n"
     "Examples:\n"
     "  curl http://$(muster discover web)/\n"
     "  muster discover web --strategy weighted --tag blue --output json\n"},
    {"watch", cmd_watch, watch_options, "[SERVICE] [OPTION]...", "print events as they happen",
     "One line an event: registered, updated, deregistered, expired, recovered, reaped, health,\n"
     "maintenance. When a replica goes away the next one is followed from the same place: no "
     "event\n"
     "comes twice and none is missed, or a line on stderr says `reset`. Ends with ctrl-C, status "
     "0.\n"
     "\n"
     "  --snapshot     first what is there (`present`), then `synced`, then events\n"
     "  --event E      only this kind; repeatable\n"
     "  --type T       --id I\n"
     "  --after ID     from after the event with this id, such as 17.0\n"
     "  --output json  one JSON object a line\n"
     "\n"
     "Examples:\n"
     "  muster watch\n"
     "  muster watch web --event expired --event recovered\n"
     "  muster watch web --snapshot --output json | jq -r '.event + \" \" + .instance.id'\n"},
    {"run", cmd_run, run_options, "--name NAME --port P [OPTION]... -- PROGRAM [ARG]...",
     "run a program, registered as long as it runs",
     "Registers when the program starts, renews its lease, registers it again when that was lost,\n"
     "passes signals on, deregisters when it ends, and exits with its status (128 and the "
     "signal's\n"
     "number when one killed it; 127 when there is no such program). Restarts nothing. When no\n"
     "registry answers the program runs all the same; that is reported after two seconds, and "
     "then\n"
     "less and less often.\n"
     "\n" REGISTER_HELP "  --active-check KIND=TARGET[,KEY=VALUE]...\n" CHECK_HELP "\n"
     "With --check it is registered as critical, so that nobody is sent to it, until a check "
     "passes:\n"
     "  --check http://H:P/PATH   passes with status 2xx or 3xx (also https://)\n"
     "  --check tcp://H:P         passes when a connection can be made\n"
     "  --check 'COMMAND'         passes with exit status 0; what it prints first is shown when "
     "not\n"
     "  --check-interval D [10s]  --check-timeout D [5s]\n"
     "  --unhealthy-after N [3]   --healthy-after N [1]   in a row\n"
     "\n"
     "  --drain D         on SIGTERM: into maintenance, so that clients go elsewhere, and after D "
     "the\n"
     "                    program gets the signal. A second one is passed on at once\n"
     "  --stop-timeout D  SIGKILL this long after SIGTERM, SIGINT or SIGQUIT; default: never\n"
     "  --adopt-environment\n"
     "                    use HEARTBEAT_INTERVAL (seconds) and SERVER_ID (default of --id) of the\n"
     "                    environment, which may be meant for others; else they are ignored\n"
     "\n"
     "Examples:\n"
     "  muster run --name web --port 8080 -- python3 -m http.server 8080\n"
     "  muster run --name web --port 8080 --check http://127.0.0.1:8080/ --drain 5s -- ./server\n"
     "  muster run --name db --port 5432 --check 'pg_isready -q' --ttl 10s -- postgres -D data\n"},
    {"status", cmd_status, NULL, "", "ask every replica how it is",
     "Asks the replicas of --server, and the members that they know, each for itself and all at\n"
     "once. Says when their certificates end. What is wrong follows on stderr, and so do warnings\n"
     "about replicas that strangers could reach, which do not change the exit status.\n"
     "\n"
     "Exit status:\n"
     "  0  every member answers and is ready\n"
     "  1  the cluster works, but a replica is not ready or cannot be reached\n"
     "  3  no replica answers\n"
     "  5  no quorum: there is no leader, and nothing can be written\n"
     "  6  the replicas belong to different clusters\n"
     "\n"
     "Examples:\n"
     "  muster status\n"
     "  muster --server a:9000,b:9000,c:9000 status\n"},
    {"ready", cmd_ready, ready_options, "[--wait D]",
     "whether the replica of this machine can serve",
     "Asks where musterd listens, as its variables say: MUSTER_HTTP, with TLS where\n"
     "MUSTER_TLS_CERT is set. The replica must then have the key of that certificate;\n"
     "its names and its CA do not count. With --server it asks there, as others do.\n"
     "\n"
     "  --wait D  until it is ready, or for so long (default: ask once)\n"
     "\n"
     "Exit status: 0 it is ready; 1 it is not, and says why; 3 it does not answer.\n"
     "\n"
     "Examples:\n"
     "  muster ready --wait 30s\n"
     "  MUSTER_HTTP=:9000 MUSTER_TLS_CERT=/etc/muster/a.pem muster ready\n"},
    {"members", cmd_members, NULL, "", "list the cluster's members as one replica sees them",
     "Examples:\n"
     "  muster members\n"},
    {"member", cmd_member, member_options,
     "list | add HOST:PORT | remove ID | promote ID | demote ID [OPTION]...",
     "change the cluster's members",
     "  add HOST:PORT  a new member is expected at that address, which is that of its peer port: "
     "it\n"
     "                 is let in when it comes, as a standby. `musterd --join` does this by "
     "itself\n"
     "  remove ID      takes a member out, for good: its replica says so and ends. One that leads\n"
     "                 hands over first\n"
     "  promote ID     gives a standby a vote, when it has caught up\n"
     "  demote ID      takes the vote: it serves reads and forwards writes as before, and counts\n"
     "                 for nothing until it is promoted\n"
     "  list           the same as `muster members`\n"
     "\n"
     "  --id N         id of the member to add (default: a free one)\n"
     "  --dry-run      say what it would do to the majority, and do nothing\n"
     "  --force        also when those that can be reached would be no majority afterwards\n"
     "\n"
     "Ends when the change is committed. Exit status 1: there is no such member, or it would "
     "leave\n"
     "the cluster without a majority; 4: it may still happen.\n"
     "\n"
     "Examples:\n"
     "  muster member add d.example:9100\n"
     "  muster member remove 3 --dry-run\n"
     "  muster member demote 2\n"},
    {"leader", cmd_leader, leader_options, "transfer [ID] [OPTION]...", "let another member lead",
     "To the member with that id, or to the one that is furthest.\n"
     "\n"
     "  --dry-run      say whether it could, and do nothing\n"
     "\n"
     "Examples:\n"
     "  muster leader transfer\n"
     "  muster leader transfer 2\n"},
    {"token", cmd_token, token_options,
     "create [OPTION]... | list | show ID | revoke ID | bootstrap", "make, list and revoke tokens",
     "  create         prints a new token: it cannot be shown again\n"
     "  list           all tokens, without their secrets; show ID: one of them\n"
     "  revoke ID      from now on it is nobody's; ID may be the token itself\n"
     "  bootstrap      the first token, which may do everything: once, and on the machine of a\n"
     "                 replica. From then on musterd --anonymous says what others may do\n"
     "\n" RIGHTS_HELP "\n"
     "Examples:\n"
     "  (umask 077; muster token bootstrap > ~/.muster-token)\n"
     "  export MUSTER_TOKEN_FILE=~/.muster-token\n"
     "  muster token create --service 'web*' --write --ttl 90d --description 'web servers'\n"
     "  muster token revoke ovk5y4zbqm\n"},
    {"policy", cmd_policy, policy_options,
     "create --subject NAME [OPTION]... | list | show NAME | delete NAME",
     "say what the holders of client certificates may do",
     "NAME is that in a certificate, as musterd --tls-principal says: its common name, or its "
     "URI.\n"
     "NAME* is for all names that begin so. Of several that fit, the most specific one counts, "
     "and\n"
     "no other. The first token must have been made: muster token bootstrap.\n"
     "\n" RIGHTS_HELP "\n"
     "Examples:\n"
     "  muster policy create --subject 'spiffe://prod/ns/web/*' --service 'web*' --write\n"
     "  muster policy create --subject ops --operator write\n"
     "  muster policy delete 'spiffe://prod/ns/web/*'\n"},
    {"backup", cmd_backup, backup_options, "FILE [OPTION]... | --verify FILE",
     "fetch a backup of everything into a file, or check one",
     "What comes is checked as it comes, and written to FILE.part; FILE is there when it is whole "
     "and\n"
     "on the disk. It has everything in it: keep it as you keep the data directories. To make a "
     "new\n"
     "cluster of it: musterd --restore FILE.\n"
     "\n"
     "  --verify         check FILE, and say what is in it: index, cluster, level, time, "
     "instances.\n"
     "                   Every checksum is looked at; what the state means, only a restore checks\n"
     "  --force          replace FILE if it is there\n"
     "  --consistency C  linearizable (default): with all that was acknowledged before the call; "
     "or\n"
     "                   stale: what the replica has, also when there is no leader\n"
     "\n"
     "--timeout counts for the connection; a replica that sends nothing for a minute is given up.\n"
     "Exit status 1 when it was refused, or FILE is damaged; 3 when no replica answers.\n"
     "\n"
     "Examples:\n"
     "  muster backup /backups/muster-$(date +%F)\n"
     "  muster backup --verify /backups/muster-2026-11-29 --output json\n"},
    {"namespace", cmd_namespace, namespace_options, "list | set NAME [OPTION]... | delete NAME",
     "what namespaces hold, and may hold",
     "A namespace is there as soon as something is registered in it (--namespace). The operator\n"
     "bounds what it may take; registrations over that are refused.\n"
     "\n"
     "  list           those that have instances or a bound\n"
     "  set NAME       bounds it; what is not given is not bounded\n"
     "  delete NAME    takes the bounds away; its instances stay\n"
     "\n"
     "  --instances N  so many instances\n"
     "  --bytes SIZE   so much of the state, such as 8MiB\n"
     "  --writes N     so many writes a second at each replica; heartbeats are none\n"
     "\n"
     "Examples:\n"
     "  muster namespace set shop --instances 500 --bytes 1MiB\n"
     "  muster namespace list\n"},
    {"tls", cmd_tls, tls_options, "init NAME[=HOST,HOST]... [OPTION]...",
     "make a CA, and certificates of members and clients",
     "For those who have no authority of their own. Of each NAME it makes NAME.pem and "
     "NAME-key.pem,\n"
     "valid for NAME, the HOSTs, localhost, 127.0.0.1 and ::1. The CA of the folder is used "
     "again.\n"
     "Nothing is written over: for a new certificate move the old one away.\n"
     "With an id before it, as in 3:c, it counts between members for member 3 alone.\n"
     "\n"
     "  --out DIR      the folder, made when missing (default: tls)\n"
     "  --client NAME  a certificate of a client besides; --uri URI: with this URI, such as a\n"
     "                 SPIFFE id\n"
     "  --days N       how long they are valid (default: 365; a new CA: 3650)\n"
     "\n"
     "Examples:\n"
     "  muster tls init 1:a=a.example,10.0.0.1 2:b=b.example 3:c=c.example --client ops\n"
     "  musterd --tls-cert tls/a.pem --tls-key tls/a-key.pem\n"
     "  MUSTER_CACERT=tls/ca.pem muster --server https://a.example:9000 status\n"},
    {"zmq-key", cmd_zmq_key, zmq_key_options, "NAME [--out FILE]",
     "make a pair of keys for ZeroMQ's CURVE",
     "It is in a file for musterd --zmq-curve-key, or for a client (zmq.auth.load_certificate).\n"
     "Nothing is written over. What is printed is a line for --zmq-curve-clients: the client's\n"
     "name, which policies are for, and its public key.\n"
     "\n"
     "  --out FILE     the file (default: NAME.key_secret)\n"
     "\n"
     "Examples:\n"
     "  muster zmq-key server\n"
     "  muster zmq-key store >> clients\n"
     "  musterd --zmq-curve-requests 0.0.0.0:4242 --zmq-curve-key server.key_secret \\\n"
     "      --zmq-curve-clients clients\n"},
    {"bench", cmd_bench, bench_options, "KIND [OPTION]...",
     "put load of one kind on the replicas and measure", cmd_bench_help},
    {.name = NULL},
};

static void print_help(void)
{
    puts("muster: talk to a Muster service registry.\n"
         "\n"
         "Usage: muster [OPTION]... COMMAND [ARGUMENT]...\n"
         "\n"
         "Commands:");
    for (const struct command *command = commands; command->name != NULL; command++) {
        printf("  %-12s %s\n", command->name, command->summary);
    }
    puts("\n"
         "Options, before or after the command:\n"
         "  --server URL[,URL]...  the replicas; the next is asked when one fails. A host without "
         "a\n"
         "                         scheme means port 9000, http://HOST means port 80.\n"
         "                         https:// trusts the CAs of MUSTER_CACERT, a PEM file (else the\n"
         "                         system's), and shows MUSTER_CERT with MUSTER_KEY\n"
         "                         [MUSTER_SERVER, REGISTRY_URL; default " DEFAULT_SERVER "]\n"
         "                         Who asks is said by MUSTER_TOKEN, or the file "
         "MUSTER_TOKEN_FILE,\n"
         "                         which is read again for each request\n"
         "  --output FORMAT        table (default) or json\n"
         "  --namespace NAME       in which everything is: of the same id in two of them neither "
         "knows of\n"
         "                         the other [MUSTER_NAMESPACE; default: the token's, else "
         "`default`]\n"
         "  --timeout D            for the whole request, such as 500ms or 30s [" DEFAULT_TIMEOUT
         "]\n"
         "  --help                 this, or after a command what there is to know about it\n"
         "  --version              print the version\n"
         "\n"
         "Examples:\n"
         "  muster register web --id web-1 --port 8080 --ttl 30s\n"
         "  muster heartbeat web-1\n"
         "  curl http://$(muster discover web)/\n"
         "  muster watch web\n"
         "  muster run --name web --port 8080 -- python3 -m http.server 8080\n"
         "  muster --server http://a:9000,http://b:9000,http://c:9000 status\n"
         "\n"
         "Exit status:\n"
         "  0  done\n"
         "  1  refused, or not found\n"
         "  2  the command line is wrong\n"
         "  3  no replica reachable; nothing was done\n"
         "  4  outcome unknown: the write may or may not have been done");
}

static void print_command_help(const struct command *command)
{
    printf("muster %s: %s.\n\nUsage: muster %s%s%s\n\n%s", command->name, command->summary,
           command->name, *command->usage != '\0' ? " " : "", command->usage, command->help);
}

static const char *find_servers(const struct args *args)
{
    static const char *const variables[] = {"MUSTER_SERVER", "REGISTRY_URL"};
    const char *list = args_get(args, "server");
    for (size_t i = 0; i < ARRAY_LENGTH(variables) && list == NULL; i++) {
        const char *value = getenv(variables[i]);
        list = value != NULL && *value != '\0' ? value : NULL;
    }
    return list != NULL ? list : DEFAULT_SERVER;
}

/* False after having complained. */
static bool take_globals(struct cli *cli)
{
    const char *output = args_get(&cli->args, "output");
    const char *timeout = args_get(&cli->args, "timeout");
    char error[512];
    if (!servers_parse(find_servers(&cli->args), &cli->servers, error, sizeof error)) {
        cli_usage(cli, "%s", error);
        return false;
    }
    if (output != NULL && strcmp(output, "table") != 0 && strcmp(output, "json") != 0) {
        cli_usage(cli, "--output %s is neither table nor json", output);
        return false;
    }
    const char *space = args_get(&cli->args, "namespace");
    space = space != NULL ? space : getenv("MUSTER_NAMESPACE");
    cli->space = space != NULL ? space : "";
    if (*cli->space != '\0' && !naming_is_namespace(cli->space, strlen(cli->space))) {
        cli_usage(cli, "--namespace %s is not 1 to %d lower-case letters, digits, '-', '_' and '.'",
                  cli->space, NAMESPACE_BYTES_MAX);
        return false;
    }
    cli->json = output != NULL && strcmp(output, "json") == 0;
    if (!text_parse_duration_ms(timeout != NULL ? timeout : DEFAULT_TIMEOUT, &cli->timeout_ms) ||
        cli->timeout_ms == 0 || cli->timeout_ms > WAIT_MS_MAX) {
        cli_usage(cli, "--timeout %s is not a duration up to 10m such as 500ms or 30s", timeout);
        return false;
    }
    return true;
}

static enum cli_exit run(struct cli *cli)
{
    const struct command *command = cli->args.command;
    if (args_get(&cli->args, "help") != NULL) {
        if (command != NULL) {
            print_command_help(command);
        } else {
            print_help();
        }
        return CLI_DONE;
    }
    if (args_get(&cli->args, "version") != NULL) {
        puts("muster " MUSTER_VERSION);
        return CLI_DONE;
    }
    if (command == NULL) {
        return cli_usage(cli, "no command is given");
    }
    if (!take_globals(cli)) {
        return CLI_USAGE;
    }
    cli->failover.servers = &cli->servers;
    CHECK(loop_init(&cli->loop) && http_set_namespace(cli->loop.shared, cli->space));
    enum cli_exit exit_status = command->run(cli);
    loop_done(&cli->loop);
    return exit_status;
}

int main(int argc, char *argv[])
{
    static struct cli cli;
    char error[512];
    enum cli_exit exit_status;
    /* Else a socket could get the number of stdout, and what we print go there. */
    CHECK(process_fill_standard());
    curl_global_init(CURL_GLOBAL_DEFAULT);
    if (args_parse(argc, argv, global_options, commands, &cli.args, error, sizeof error)) {
        exit_status = run(&cli);
    } else {
        exit_status = cli_usage(&cli, "%s", error);
    }
    args_done(&cli.args);
    curl_global_cleanup();
    if (!output_finish() && exit_status == CLI_DONE) {
        cli_complain("the output could not be written");
        exit_status = CLI_REFUSED;
    }
    return (int)exit_status;
}
