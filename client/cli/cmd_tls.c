/* tls init: certificates for those who have no authority of their own. */
#include "client/cli/commands.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "client/cli/authority.h"
#include "server/base/naming.h"
#include "server/base/text.h"

#define FOLDER_DEFAULT    "tls"
#define DAYS_DEFAULT      365
#define AUTHORITY_DAYS    3650
#define MEMBERS_MAX       32 /* in one call */
#define SUBJECT_BYTES_MAX 2048
#define NAME_LENGTH_MAX   64 /* of a common name, RFC 5280 */

/* That may stand in a certificate, and in the name of a file. */
static bool is_subject(const char *name)
{
    return naming_is_host(name, strlen(name)) && strlen(name) <= NAME_LENGTH_MAX &&
           strchr(name, ':') == NULL && strcmp(name, "ca") != 0;
}

/* That musterd --tls-principal URI takes. Those of members are not for clients. */
static bool is_uri(const char *uri)
{
    return naming_is_certificate(uri, strlen(uri)) && strchr(uri, ':') != NULL &&
           strchr(uri, ' ') == NULL && strncmp(uri, MEMBER_URI, strlen(MEMBER_URI)) != 0;
}

/* "3:" before the name: the certificate is for member 3. Moves *at on. False: not an id. */
static bool read_member(char **at, uint64_t *ret_member)
{
    char *colon = strchr(*at, ':');
    const char *hosts = strchr(*at, '=');
    *ret_member = 0;
    if (colon == NULL || (hosts != NULL && hosts < colon)) {
        return true;
    }
    *colon = '\0';
    bool good = text_parse_u64(*at, INT64_MAX, ret_member) && *ret_member != 0;
    *at = colon + 1;
    return good;
}

/* "a", "3:a", or "3:a=a.example,10.0.0.1": the id of a member, a name that may be that of a file,
 * and hosts. `text` is cut up. */
static bool read_subject(const struct cli *cli, char *text, struct authority_subject *ret_subject)
{
    uint64_t member;
    if (!read_member(&text, &member)) {
        cli_usage(cli, "before a colon there is the id of a member, as in 3:c");
        return false;
    }
    char *hosts = strchr(text, '=');
    if (hosts != NULL) {
        *hosts++ = '\0';
    }
    if (!is_subject(text)) {
        cli_usage(cli, "\"%s\" is not a name for a certificate", text);
        return false;
    }
    /* A member is asked by its own machine, too. */
    *ret_subject = (struct authority_subject){.name = text,
                                              .hosts = {text, "localhost", "127.0.0.1", "::1"},
                                              .hosts_count = 4,
                                              .member = member};
    while (hosts != NULL) {
        char *host = strsep(&hosts, ",");
        if (!naming_is_host(host, strlen(host))) {
            cli_usage(cli, "\"%s\" is not a host name or an address", host);
            return false;
        }
        if (ret_subject->hosts_count == AUTHORITY_HOSTS_MAX) {
            cli_usage(cli, "%s has more than %d hosts", text, AUTHORITY_HOSTS_MAX - 4);
            return false;
        }
        ret_subject->hosts[ret_subject->hosts_count++] = host;
    }
    return true;
}

static bool sign(const struct authority *authority, const struct authority_subject *subject,
                 const char *folder, unsigned days)
{
    char error[512];
    if (!authority_sign(authority, subject, days, error, sizeof error)) {
        cli_complain("%s", error);
        return false;
    }
    printf("%s/%s.pem and %s-key.pem: ", folder, subject->name, subject->name);
    if (subject->member != 0) {
        printf("member %" PRIu64 "\n", subject->member);
    } else {
        printf("%s\n", subject->hosts_count > 0 ? "a member" : "a client");
    }
    return true;
}

static enum cli_exit init(struct cli *cli, const char *folder, unsigned days)
{
    const struct args *args = &cli->args;
    const char *client = args_get(args, "client");
    const char *uri = args_get(args, "uri");
    static char texts[MEMBERS_MAX][SUBJECT_BYTES_MAX];
    struct authority_subject subjects[MEMBERS_MAX + 1];
    size_t count = 0;
    char error[512];
    bool made;
    if (args->words_count - 1 > MEMBERS_MAX) {
        return cli_usage(cli, "tls init makes the certificates of %d members at most in one call",
                         MEMBERS_MAX);
    }
    for (size_t i = 1; i < args->words_count; i++) {
        if (strlen(args->words[i]) >= SUBJECT_BYTES_MAX) {
            return cli_usage(cli, "a member's list of hosts is too long");
        }
        memcpy(texts[count], args->words[i], strlen(args->words[i]) + 1);
        if (!read_subject(cli, texts[count], &subjects[count])) {
            return CLI_USAGE;
        }
        count++;
    }
    if (client != NULL) {
        if (!is_subject(client)) {
            return cli_usage(cli, "\"%s\" is not a name for a certificate", client);
        }
        subjects[count++] = (struct authority_subject){.name = client, .uri = uri};
    }
    if (uri != NULL && (client == NULL || !is_uri(uri))) {
        return cli_usage(cli,
                         client == NULL ? "--uri is that of --client"
                                        : "--uri %s is not a URI for a client",
                         uri);
    }
    if (count == 0) {
        return cli_usage(cli, "tls init needs the names of the members, or --client NAME");
    }
    struct authority *authority =
        authority_open(folder, AUTHORITY_DAYS, &made, error, sizeof error);
    if (authority == NULL) {
        cli_complain("%s", error);
        return CLI_REFUSED;
    }
    printf("%s/ca.pem: %s; keep %s/ca-key.pem where no member is\n", folder,
           made ? "a new CA" : "the CA that was there", folder);
    enum cli_exit status = CLI_DONE;
    for (size_t i = 0; i < count && status == CLI_DONE; i++) {
        status = sign(authority, &subjects[i], folder, days) ? CLI_DONE : CLI_REFUSED;
    }
    authority_close(authority);
    return status;
}

enum cli_exit cmd_tls(struct cli *cli)
{
    const struct args *args = &cli->args;
    const char *folder = args_get(args, "out");
    const char *days_text = args_get(args, "days");
    uint64_t days = DAYS_DEFAULT;
    if (args->words_count < 1 || strcmp(args->words[0], "init") != 0) {
        return cli_usage(cli, "tls needs: init NAME[=HOST,HOST]...");
    }
    if (days_text != NULL && (!text_parse_u64(days_text, AUTHORITY_DAYS_MAX, &days) || days == 0)) {
        return cli_usage(cli, "--days %s is not between 1 and %d", days_text, AUTHORITY_DAYS_MAX);
    }
    return init(cli, folder != NULL ? folder : FOLDER_DEFAULT, (unsigned)days);
}
