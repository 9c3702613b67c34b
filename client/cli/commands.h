/* The functions behind the table of commands, one for each row.
 *
 * Thread: the only one. */
#ifndef MUSTER_CLI_COMMANDS_H
#define MUSTER_CLI_COMMANDS_H

#include "client/cli/cli.h"

enum cli_exit cmd_register(struct cli *cli);
enum cli_exit cmd_heartbeat(struct cli *cli);
enum cli_exit cmd_deregister(struct cli *cli);
enum cli_exit cmd_maintenance(struct cli *cli);
enum cli_exit cmd_services(struct cli *cli);
enum cli_exit cmd_list(struct cli *cli);
enum cli_exit cmd_show_instance(struct cli *cli);
enum cli_exit cmd_discover(struct cli *cli);
enum cli_exit cmd_watch(struct cli *cli);
enum cli_exit cmd_run(struct cli *cli);
enum cli_exit cmd_status(struct cli *cli);
enum cli_exit cmd_members(struct cli *cli);
enum cli_exit cmd_member(struct cli *cli);
enum cli_exit cmd_leader(struct cli *cli);
enum cli_exit cmd_token(struct cli *cli);
enum cli_exit cmd_namespace(struct cli *cli);
enum cli_exit cmd_policy(struct cli *cli);
enum cli_exit cmd_backup(struct cli *cli);
enum cli_exit cmd_ready(struct cli *cli);
enum cli_exit cmd_tls(struct cli *cli);
enum cli_exit cmd_zmq_key(struct cli *cli);
enum cli_exit cmd_bench(struct cli *cli);
extern const char cmd_bench_help[];

#endif
