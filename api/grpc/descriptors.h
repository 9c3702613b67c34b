/* The .proto files of this folder, each as a google.protobuf.FileDescriptorSet with one file: made
 * when the build is configured (generate.cmake), for reflection.
 *
 * Thread: any; constants. */
#ifndef MUSTER_API_GRPC_DESCRIPTORS_H
#define MUSTER_API_GRPC_DESCRIPTORS_H

#include <stddef.h>
#include <stdint.h>

struct descriptor {
    const char *name; /* of the file */
    const uint8_t *set;
    size_t set_len;
};

extern const struct descriptor descriptors[];
extern const size_t descriptors_count;

#endif
