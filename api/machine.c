#include "api/machine.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "server/base/text.h"

/* The second number of /proc/self/statm, in pages (man 5 proc). */
uint64_t machine_resident_bytes(void)
{
    char line[256];
    uint64_t pages = 0;
    FILE *file = fopen("/proc/self/statm", "re");
    if (file == NULL) {
        return 0;
    }
    if (fgets(line, sizeof line, file) != NULL) {
        char *second = line + strcspn(line, " ");
        second += strspn(second, " ");
        second[strcspn(second, " ")] = '\0';
        if (!text_parse_u64(second, UINT64_MAX / 65536, &pages)) {
            pages = 0;
        }
    }
    (void)fclose(file);
    return pages * (uint64_t)sysconf(_SC_PAGESIZE);
}
