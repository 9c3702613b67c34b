#include "api/core/exposure.h"

size_t exposure_find(const struct exposure *exposure,
                     struct warning ret_warnings[EXPOSURE_WARNINGS_MAX])
{
    size_t count = 0;
    if (exposure->clients_reach && !exposure->is_encrypted) {
        ret_warnings[count++] = (struct warning){
            "clients_not_encrypted",
            "clients of other machines are not encrypted, and their tokens can be read on the way: "
            "set --tls-cert and --tls-key, or listen on 127.0.0.1"};
    }
    if (exposure->members_reach && !exposure->members_prove) {
        ret_warnings[count++] =
            (struct warning){"members_not_proven",
                             "whoever reaches the port for members may pose as one: set the same "
                             "--cluster-secret on all members, or --peer-ca, without --peer-tls "
                             "optional"};
    }
    return count;
}

bool exposure_find_open(const struct exposure *exposure, const struct view *view,
                        struct warning *ret_warning)
{
    if (!exposure->clients_reach || !principal_anybody_writes(exposure->anonymous, view)) {
        return false;
    }
    *ret_warning =
        exposure->anonymous == ANONYMOUS_WRITE
            ? (struct warning){"open_to_all", "whoever reaches this replica can write services "
                                              "without a token: it runs with --anonymous write"}
            : (struct warning){"open_to_all",
                               "whoever reaches this replica can do everything: there "
                               "is no token yet; make one with muster token bootstrap"};
    return true;
}

bool exposure_find_end(int64_t end_s, int64_t now_s, struct warning *ret_warning)
{
    if (end_s == 0 || end_s - now_s >= EXPOSURE_END_IS_NEAR_S) {
        return false;
    }
    *ret_warning =
        end_s <= now_s
            ? (struct warning){"certificate_ended",
                               "the TLS certificate has ended, and clients refuse it: replace its "
                               "file"}
            : (struct warning){"certificate_ends",
                               "the TLS certificate ends soon: replace its file"};
    return true;
}
