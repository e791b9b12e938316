/* Records every change to the files of one directory, in order: what a disk is told, for the power-loss test. And lets
 * any of these calls fail, for the test of failing disks.
 *
 * Preloaded into a process (LD_PRELOAD). RECORD_DIRECTORY names the directory, RECORD_LOG the file to write to (not set:
 * nothing is recorded). Each entry is a line "<op> <name> <offset> <length>", after W followed by the bytes:
 *   C created   W written   T cut to offset   S fsync or fdatasync   D fsync of the directory
 *   R renamed (the new name in place of the length, an offset of 0)   U unlinked
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <unistd.h>

#define MAX_FDS 4096
#define REAL(type, name, ...) ((type (*)(__VA_ARGS__))dlsym(RTLD_NEXT, #name))

static char *names[MAX_FDS]; /* by descriptor: the name below the directory, "." for itself */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static int log_fd = -1;

static const char *below(const char *path) {
    const char *directory = getenv("RECORD_DIRECTORY");
    size_t length = directory ? strlen(directory) : 0;
    if (!length || strncmp(path, directory, length))
        return NULL;
    if (!path[length])
        return ".";
    return path[length] == '/' ? path + length + 1 : NULL;
}

static long calls, fail_from, fail_until;
static int fail_error;

/* For ctypes: let the calls number first to last, counted from now, fail with an error; returns the calls until now. */
long fail_calls(long first, long last, int error) {
    long until_now = calls;
    calls = 0;
    fail_from = first;
    fail_until = last;
    fail_error = error;
    return until_now;
}

static int fails(void) {
    calls++;
    if (!fail_from || calls < fail_from || calls > fail_until)
        return 0;
    errno = fail_error;
    return 1;
}

static void record(const char *line, const void *data, size_t length) {
    if (!getenv("RECORD_LOG"))
        return;
    ssize_t (*put)(int, const void *, size_t) = REAL(ssize_t, write, int, const void *, size_t);
    if (log_fd < 0)
        log_fd = REAL(int, open, const char *, int, ...)(getenv("RECORD_LOG"), O_WRONLY | O_CREAT | O_APPEND, 0600);
    if (put(log_fd, line, strlen(line)) < 0 || (length && put(log_fd, data, length) < 0))
        abort();
}

static void note(char op, const char *name, long offset, const void *data, size_t length) {
    char line[512];
    snprintf(line, sizeof line, "%c %s %ld %zu\n", op, name, offset, length);
    record(line, data, length);
}

static void opened(int fd, const char *path, int created) {
    const char *name = below(path);
    if (fd < 0 || fd >= MAX_FDS || !name)
        return;
    pthread_mutex_lock(&lock);
    free(names[fd]);
    names[fd] = strdup(name);
    if (created)
        note('C', name, 0, NULL, 0);
    pthread_mutex_unlock(&lock);
}

static int open_with(const char *symbol, const char *path, int flags, mode_t mode) {
    int (*real)(const char *, int, ...) = dlsym(RTLD_NEXT, symbol);
    if (below(path) && fails())
        return -1;
    int created = below(path) && (flags & O_CREAT) && access(path, F_OK);
    int fd = real(path, flags, mode);
    opened(fd, path, created);
    return fd;
}

#define OPEN(name)                                                                                                     \
    int name(const char *path, int flags, ...) {                                                                       \
        va_list rest;                                                                                                  \
        va_start(rest, flags);                                                                                         \
        mode_t mode = flags & O_CREAT ? va_arg(rest, mode_t) : 0;                                                      \
        va_end(rest);                                                                                                  \
        return open_with(#name, path, flags, mode);                                                                    \
    }
OPEN(open)
OPEN(open64)

static const char *name_of(int fd) { return fd >= 0 && fd < MAX_FDS ? names[fd] : NULL; }

int close(int fd) {
    pthread_mutex_lock(&lock);
    if (name_of(fd)) {
        free(names[fd]);
        names[fd] = NULL;
    }
    pthread_mutex_unlock(&lock);
    return REAL(int, close, int)(fd);
}

/* The lock is held across the call, so that the order in the log is the order on the disk. */
ssize_t write(int fd, const void *data, size_t length) {
    ssize_t (*real)(int, const void *, size_t) = REAL(ssize_t, write, int, const void *, size_t);
    if (!name_of(fd))
        return real(fd, data, length);
    if (fails())
        return -1;
    pthread_mutex_lock(&lock);
    off_t offset = lseek(fd, 0, SEEK_CUR);
    ssize_t done = real(fd, data, length);
    if (done > 0)
        note('W', names[fd], offset, data, done);
    pthread_mutex_unlock(&lock);
    return done;
}

#define PWRITE(name)                                                                                                   \
    ssize_t name(int fd, const void *data, size_t length, off_t offset) {                                              \
        ssize_t (*real)(int, const void *, size_t, off_t) = dlsym(RTLD_NEXT, #name);                                   \
        if (!name_of(fd))                                                                                              \
            return real(fd, data, length, offset);                                                                     \
        if (fails())                                                                                                   \
            return -1;                                                                                                 \
        pthread_mutex_lock(&lock);                                                                                     \
        ssize_t done = real(fd, data, length, offset);                                                                 \
        if (done > 0)                                                                                                  \
            note('W', names[fd], offset, data, done);                                                                  \
        pthread_mutex_unlock(&lock);                                                                                   \
        return done;                                                                                                   \
    }
PWRITE(pwrite)
PWRITE(pwrite64)

#define TRUNCATE(name)                                                                                                 \
    int name(int fd, off_t length) {                                                                                   \
        int (*real)(int, off_t) = dlsym(RTLD_NEXT, #name);                                                             \
        if (!name_of(fd))                                                                                              \
            return real(fd, length);                                                                                   \
        if (fails())                                                                                                   \
            return -1;                                                                                                 \
        pthread_mutex_lock(&lock);                                                                                     \
        int result = real(fd, length);                                                                                 \
        if (!result)                                                                                                   \
            note('T', names[fd], length, NULL, 0);                                                                     \
        pthread_mutex_unlock(&lock);                                                                                   \
        return result;                                                                                                 \
    }
TRUNCATE(ftruncate)
TRUNCATE(ftruncate64)

#define SYNC(name)                                                                                                     \
    int name(int fd) {                                                                                                 \
        int (*real)(int) = dlsym(RTLD_NEXT, #name);                                                                    \
        if (!name_of(fd))                                                                                              \
            return real(fd);                                                                                           \
        if (fails())                                                                                                   \
            return -1;                                                                                                 \
        pthread_mutex_lock(&lock);                                                                                     \
        int result = real(fd);                                                                                         \
        if (!result)                                                                                                   \
            note(strcmp(names[fd], ".") ? 'S' : 'D', names[fd], 0, NULL, 0);                                           \
        pthread_mutex_unlock(&lock);                                                                                   \
        return result;                                                                                                 \
    }
SYNC(fsync)
SYNC(fdatasync)

int rename(const char *from, const char *to) {
    const char *old = below(from), *new = below(to);
    if (new && fails())
        return -1;
    pthread_mutex_lock(&lock);
    int result = REAL(int, rename, const char *, const char *)(from, to);
    if (!result && old && new) {
        char line[512];
        snprintf(line, sizeof line, "R %s 0 %s\n", old, new);
        record(line, NULL, 0);
    }
    pthread_mutex_unlock(&lock);
    return result;
}

int unlink(const char *path) {
    const char *name = below(path);
    if (name && fails())
        return -1;
    pthread_mutex_lock(&lock);
    int result = REAL(int, unlink, const char *)(path);
    if (!result && name)
        note('U', name, 0, NULL, 0);
    pthread_mutex_unlock(&lock);
    return result;
}
