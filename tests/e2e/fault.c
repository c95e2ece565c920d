/* Makes the n-th read, write or accept of a process on an internet socket fail, once. Preloaded into the gateway:
 * FAULT=read:N:ERRNO, write:N:ERRNO or accept:N:ERRNO; the file FAULT_LOG is made when the fault is given. Where the
 * error number is 0 the call never returns.
 *
 * Other descriptors are left alone: that the write to an event counter or the read of a signal pipe fails does not
 * happen, and the runtime rightly takes it for its end. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

static char wanted[8];
static int number, error;
static const char *given;
static atomic_int count;

__attribute__((constructor)) static void read_wish(void) {
    const char *wish = getenv("FAULT");
    given = getenv("FAULT_LOG");
    if (wish) sscanf(wish, "%7[a-z]:%d:%d", wanted, &number, &error);
}

static int is_due(const char *kind, int fd) {
    int domain = 0;
    socklen_t length = sizeof domain;
    if (strcmp(kind, wanted) || getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &length)) return 0;
    if (domain != AF_INET && domain != AF_INET6) return 0;
    if (atomic_fetch_add(&count, 1) + 1 != number) return 0;
    close(open(given, O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
    while (!error) pause();
    errno = error;
    return 1;
}

#define FAULTY(kind, type, name, parameters, arguments)                 \
    type name parameters {                                              \
        static type(*real) parameters;                                  \
        if (!real) real = (type(*) parameters)dlsym(RTLD_NEXT, #name);  \
        return is_due(kind, fd) ? -1 : real arguments;                  \
    }

FAULTY("read", ssize_t, read, (int fd, void *to, size_t size), (fd, to, size))
FAULTY("read", ssize_t, readv, (int fd, const struct iovec *to, int parts), (fd, to, parts))
FAULTY("read", ssize_t, recv, (int fd, void *to, size_t size, int flags), (fd, to, size, flags))
FAULTY("read", ssize_t, recvmsg, (int fd, struct msghdr *to, int flags), (fd, to, flags))
FAULTY("read", ssize_t, recvfrom,
       (int fd, void *restrict to, size_t size, int flags, struct sockaddr *restrict from, socklen_t *restrict length),
       (fd, to, size, flags, from, length))
FAULTY("write", ssize_t, write, (int fd, const void *from, size_t size), (fd, from, size))
FAULTY("write", ssize_t, writev, (int fd, const struct iovec *from, int parts), (fd, from, parts))
FAULTY("write", ssize_t, send, (int fd, const void *from, size_t size, int flags), (fd, from, size, flags))
FAULTY("write", ssize_t, sendmsg, (int fd, const struct msghdr *from, int flags), (fd, from, flags))
FAULTY("write", ssize_t, sendto,
       (int fd, const void *from, size_t size, int flags, const struct sockaddr *to, socklen_t length),
       (fd, from, size, flags, to, length))
FAULTY("accept", int, accept, (int fd, struct sockaddr *restrict from, socklen_t *restrict length), (fd, from, length))
FAULTY("accept", int, accept4,
       (int fd, struct sockaddr *restrict from, socklen_t *restrict length, int flags), (fd, from, length, flags))
