/* Preloaded into a process (LD_PRELOAD): counts what it does to the files below one folder, and lets one of that fail.

   Python and SQLite call the same few functions of the C library, so nothing of either has to be changed. Deleting is
   let pass: it needs no room. See tests/faulty_disk.py. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char folder[PATH_MAX];
static atomic_int done, failing, code, lasting;

/* Begin to count at 0; the `at`th change fails with `error`, and with `last` all that follow; at 0: none fails. */
void faulty_arm(const char *below, int at, int error, int last) {
    strncpy(folder, below, sizeof folder - 1);
    done = 0;
    failing = at;
    code = error;
    lasting = last;
}

int faulty_count(void) { return done; }

static int fails_at(const char *path) {
    if (!folder[0] || strncmp(path, folder, strlen(folder))) return 0;
    int now = ++done;
    if (!failing || now < failing || (now > failing && !lasting)) return 0;
    errno = code;
    return 1;
}

static int fails(int file) {
    char link[64], path[PATH_MAX];
    snprintf(link, sizeof link, "/proc/self/fd/%d", file);
    ssize_t length = readlink(link, path, sizeof path - 1);
    if (length < 0) return 0;
    path[length] = 0;
    return fails_at(path);
}

#define REAL(kind, name, ...) ((kind(*)(__VA_ARGS__))dlsym(RTLD_NEXT, #name))

#define OPEN(name) \
    int name(const char *path, int flags, ...) { \
        va_list more; \
        va_start(more, flags); \
        mode_t mode = flags & O_CREAT ? va_arg(more, mode_t) : 0; \
        va_end(more); \
        if (flags & O_CREAT && access(path, F_OK) && fails_at(path)) return -1; \
        return REAL(int, name, const char *, int, ...)(path, flags, mode); \
    }
OPEN(open)
OPEN(open64)

#define WRITE(name, kind) \
    ssize_t name(int file, const void *data, size_t size, kind place) { \
        return fails(file) ? -1 : REAL(ssize_t, name, int, const void *, size_t, kind)(file, data, size, place); \
    }
WRITE(pwrite, off_t)
WRITE(pwrite64, off64_t)

ssize_t write(int file, const void *data, size_t size) {
    return fails(file) ? -1 : REAL(ssize_t, write, int, const void *, size_t)(file, data, size);
}

#define ON_FILE(name) \
    int name(int file) { return fails(file) ? -1 : REAL(int, name, int)(file); }
ON_FILE(fsync)
ON_FILE(fdatasync)

#define TRUNCATE(name, kind) \
    int name(int file, kind size) { return fails(file) ? -1 : REAL(int, name, int, kind)(file, size); }
TRUNCATE(ftruncate, off_t)
TRUNCATE(ftruncate64, off64_t)

int rename(const char *from, const char *to) {
    return fails_at(to) ? -1 : REAL(int, rename, const char *, const char *)(from, to);
}

int mkdir(const char *path, mode_t mode) {
    return access(path, F_OK) && fails_at(path) ? -1 : REAL(int, mkdir, const char *, mode_t)(path, mode);
}
