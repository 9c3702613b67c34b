/* The files of the page (api/ui/page), as the build embeds them (embed.cmake).
 *
 * Thread: any; immutable. */
#ifndef MUSTER_API_UI_ASSETS_H
#define MUSTER_API_UI_ASSETS_H

#include <stddef.h>
#include <stdint.h>

#define UI_ASSETS_MAX 32

struct ui_asset {
    const char *name; /* "app.js" */
    const char *type; /* of media */
    const char *tag;  /* weak entity tag, of the content */
    const uint8_t *data;
    size_t len;
};

extern const struct ui_asset ui_assets[];
extern const size_t ui_assets_count; /* UI_ASSETS_MAX at most */

/* NULL: there is none of this name. */
const struct ui_asset *ui_asset_find(const char *name);

#endif
