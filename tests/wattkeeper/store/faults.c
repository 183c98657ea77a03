/* A disk that fails on request: preloaded into a test, it stands between SQLite and the kernel.
 *
 * The file named by WATTKEEPER_FAULT says what happens to files in the folder of a test ("/state-.."): "full", "readonly",
 * "sync" (fsync fails), "io" (writes fail), "dead" (nothing can be opened), "slow" (fsync does not come back while the word stands).
 * With WATTKEEPER_TRACE, everything that changes such a file is recorded in the file of that name, in its order. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

static int fault(const char *word) {
    char found[16] = "";
    const char *path = getenv("WATTKEEPER_FAULT");
    int fd = path ? (int)syscall(SYS_openat, AT_FDCWD, path, O_RDONLY | O_CLOEXEC) : -1;
    if (fd < 0) return 0;
    if (syscall(SYS_read, fd, found, sizeof found - 1) < 0) found[0] = 0;
    syscall(SYS_close, fd);
    return strcmp(found, word) == 0;
}

static int ours(int fd) {
    char link[64], path[4096] = "";
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    return readlink(link, path, sizeof path - 1) > 0 && strstr(path, "/state-") != NULL;
}

/* One line, then the bytes: what happened, offset or length, bytes that follow, path. */
static void record(char what, long long at, const void *bytes, long long length, const char *path) {
    char line[4200];
    const char *name = getenv("WATTKEEPER_TRACE");
    int fd = name ? (int)syscall(SYS_openat, AT_FDCWD, name, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600) : -1;
    if (fd < 0) return;
    int head = snprintf(line, sizeof line, "%c %lld %lld %s\n", what, at, length, path);
    struct iovec parts[2] = {{line, (size_t)head}, {(void *)bytes, (size_t)length}};
    syscall(SYS_writev, fd, parts, 2);
    syscall(SYS_close, fd);
}

static void record_fd(char what, long long at, const void *bytes, long long length, int fd) {
    char link[64], path[4096] = "";
    if (!getenv("WATTKEEPER_TRACE") || !ours(fd)) return;
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    if (readlink(link, path, sizeof path - 1) > 0) record(what, at, bytes, length, path);
}

static int refused(int fd) {
    if (!ours(fd)) return 0;
    if (fault("full")) errno = ENOSPC;
    else if (fault("readonly")) errno = EROFS;
    else if (fault("io")) errno = EIO;
    else return 0;
    return 1;
}

ssize_t write(int fd, const void *bytes, size_t length) {
    off_t at = syscall(SYS_lseek, fd, 0, SEEK_CUR);
    ssize_t done = refused(fd) ? -1 : syscall(SYS_write, fd, bytes, length);
    if (done > 0 && at >= 0) record_fd('W', at, bytes, done, fd);
    return done;
}

ssize_t pwrite64(int fd, const void *bytes, size_t length, off64_t at) {
    ssize_t done = refused(fd) ? -1 : syscall(SYS_pwrite64, fd, bytes, length, at);
    if (done > 0) record_fd('W', at, bytes, done, fd);
    return done;
}

int ftruncate64(int fd, off64_t length) {
    int done = (int)syscall(SYS_ftruncate, fd, length);
    if (done == 0) record_fd('T', length, "", 0, fd);
    return done;
}

int ftruncate(int fd, off_t length) { return ftruncate64(fd, length); }

int unlink(const char *path) {
    int done = (int)syscall(SYS_unlinkat, AT_FDCWD, path, 0);
    if (done == 0) record('U', 0, "", 0, path);
    return done;
}

int rename(const char *from, const char *to) {
    int done = (int)syscall(SYS_renameat2, AT_FDCWD, from, AT_FDCWD, to, 0);
    if (done == 0) record('R', 0, to, (long long)strlen(to), from);
    return done;
}

static int sync_refused(int fd) {
    if (!ours(fd)) return 0;
    if (fault("slow")) {
        char stuck[4096];
        snprintf(stuck, sizeof stuck, "%s.stuck", getenv("WATTKEEPER_FAULT"));
        int mark = (int)syscall(SYS_openat, AT_FDCWD, stuck, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
        if (mark >= 0) syscall(SYS_close, mark);
        while (fault("slow")) usleep(1000);
    }
    if (!fault("sync")) return 0;
    errno = EIO;
    return 1;
}

static int synced(int fd, long call) {
    int done = sync_refused(fd) ? -1 : (int)syscall(call, fd);
    record_fd(done == 0 ? 'S' : 'F', 0, "", 0, fd);
    return done;
}

int fsync(int fd) { return synced(fd, SYS_fsync); }

int fdatasync(int fd) { return synced(fd, SYS_fdatasync); }

static int opened(const char *path, int flags, mode_t mode) {
    if ((flags & (O_WRONLY | O_RDWR | O_CREAT)) && strstr(path, "/state-") && fault("readonly")) {
        errno = EROFS;
        return -1;
    }
    if (strstr(path, "/wattkeeper.db") && fault("dead")) {
        errno = EIO;
        return -1;
    }
    return (int)syscall(SYS_openat, AT_FDCWD, path, flags, mode);
}

int open64(const char *path, int flags, ...) {
    va_list more;
    va_start(more, flags);
    mode_t mode = va_arg(more, mode_t);
    va_end(more);
    return opened(path, flags | O_LARGEFILE, mode);
}

int open(const char *path, int flags, ...) {
    va_list more;
    va_start(more, flags);
    mode_t mode = va_arg(more, mode_t);
    va_end(more);
    return opened(path, flags, mode);
}
