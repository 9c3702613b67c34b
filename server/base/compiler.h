/* Attributes of the compilers that Muster is built with (gcc and clang), behind short names. */
#ifndef MUSTER_BASE_COMPILER_H
#define MUSTER_BASE_COMPILER_H

#include <stddef.h>

#define MUST_USE              __attribute__((warn_unused_result))
#define NORETURN              __attribute__((noreturn))
#define PRINTF_LIKE(f, a)     __attribute__((format(printf, f, a)))
#define UNUSED                __attribute__((unused))
#define LIKELY(x)             __builtin_expect(!!(x), 1)
#define ARRAY_LENGTH(a)       (sizeof(a) / sizeof((a)[0]))
#define CONTAINER_OF(p, t, m) ((t *)(void *)((char *)(p)-offsetof(t, m)))

/* ThreadSanitizer does not see the barriers inside liburcu: these annotate what they order. No
 * effect in other builds. */
#if defined(__SANITIZE_THREAD__)
void __tsan_acquire(void *address);
void __tsan_release(void *address);
#define TSAN_ACQUIRE(p) __tsan_acquire((void *)(p))
#define TSAN_RELEASE(p) __tsan_release((void *)(p))
#else
#define TSAN_ACQUIRE(p) ((void)0)
#define TSAN_RELEASE(p) ((void)0)
#endif

#endif
