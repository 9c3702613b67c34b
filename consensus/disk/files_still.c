#include "consensus/disk/files_still.h"

#include <limits.h>

#include "server/base/compiler.h"

#define NOWHERE INT_MAX /* descriptor of a created file */

static int still_open(void *ctx, const char *name, enum file_mode mode, int *ret_file)
{
    const struct files *files = ctx;
    *ret_file = NOWHERE;
    return mode == FILE_CREATE ? 0 : files->open(files->ctx, name, FILE_READ, ret_file);
}

static void still_close(void *ctx, int file)
{
    const struct files *files = ctx;
    if (file != NOWHERE) {
        files->close(files->ctx, file);
    }
}

static int still_preallocate(void *ctx UNUSED, int file UNUSED, uint64_t bytes UNUSED)
{
    return 0;
}

static int still_write(void *ctx UNUSED, int file UNUSED, uint64_t at UNUSED,
                       const void *data UNUSED, size_t len UNUSED, bool durable UNUSED)
{
    return 0;
}

static int still_sync(void *ctx UNUSED, int file UNUSED)
{
    return 0;
}

static int still_read(void *ctx, int file, uint64_t at, void *data, size_t len, size_t *ret_len)
{
    const struct files *files = ctx;
    *ret_len = 0;
    return file == NOWHERE ? 0 : files->read(files->ctx, file, at, data, len, ret_len);
}

static int still_rename(void *ctx UNUSED, const char *from UNUSED, const char *to UNUSED)
{
    return 0;
}

static int still_unlink(void *ctx UNUSED, const char *name UNUSED)
{
    return 0;
}

static int still_sync_dir(void *ctx UNUSED)
{
    return 0;
}

static int still_list(void *ctx, void (*each)(void *data, const char *name, uint64_t bytes),
                      void *data)
{
    const struct files *files = ctx;
    return files->list(files->ctx, each, data);
}

static uint64_t still_free_bytes(void *ctx)
{
    const struct files *files = ctx;
    return files->free_bytes(files->ctx);
}

struct files files_still(const struct files *files)
{
    return (struct files){
        .ctx = (void *)(uintptr_t)files,
        .open = still_open,
        .close = still_close,
        .preallocate = still_preallocate,
        .write = still_write,
        .sync = still_sync,
        .read = still_read,
        .rename = still_rename,
        .unlink = still_unlink,
        .sync_dir = still_sync_dir,
        .list = still_list,
        .free_bytes = still_free_bytes,
    };
}
