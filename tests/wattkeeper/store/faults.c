/* A disk that fails on request: preloaded into a test, it stands between SQLite and the kernel.
 *
 * The file named by WATTKEEPER_FAULT says what happens to files in the folder of a test ("/state-.."): "full", "readonly",
 * "sync" (fsync fails), "io" (writes fail), "slow" (fsync does not come back while the word stands). */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
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

static int refused(int fd) {
    if (!ours(fd)) return 0;
    if (fault("full")) errno = ENOSPC;
    else if (fault("readonly")) errno = EROFS;
    else if (fault("io")) errno = EIO;
    else return 0;
    return 1;
}

ssize_t write(int fd, const void *bytes, size_t length) {
    return refused(fd) ? -1 : syscall(SYS_write, fd, bytes, length);
}

ssize_t pwrite64(int fd, const void *bytes, size_t length, off64_t at) {
    return refused(fd) ? -1 : syscall(SYS_pwrite64, fd, bytes, length, at);
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

int fsync(int fd) { return sync_refused(fd) ? -1 : (int)syscall(SYS_fsync, fd); }

int fdatasync(int fd) { return sync_refused(fd) ? -1 : (int)syscall(SYS_fdatasync, fd); }

static int opened(const char *path, int flags, mode_t mode) {
    if ((flags & (O_WRONLY | O_RDWR | O_CREAT)) && strstr(path, "/state-") && fault("readonly")) {
        errno = EROFS;
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
