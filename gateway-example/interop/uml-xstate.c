// Preloaded into User-Mode Linux on processors with AMX: that of Linux 6.1 sets a process' vector registers from a buffer
// that is shorter than they are, which the kernel refuses. Of what lies beyond, its processes use nothing: it stays zero.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <elf.h>
#include <stdarg.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/types.h>
#include <sys/uio.h>

typedef long (*call)(int, pid_t, void *, void *);

long ptrace(enum __ptrace_request request, ...) {
    static call real;
    static char whole[1 << 16];
    static size_t size;
    va_list rest;
    va_start(rest, request);
    pid_t pid = va_arg(rest, pid_t);
    void *address = va_arg(rest, void *), *data = va_arg(rest, void *);
    va_end(rest);
    if (!real) real = (call)dlsym(RTLD_NEXT, "ptrace");
    if (address != (void *)NT_X86_XSTATE || (request != PTRACE_GETREGSET && request != PTRACE_SETREGSET))
        return real(request, pid, address, data);

    struct iovec *known = data, all = {whole, size ? size : sizeof whole};
    size_t length = known->iov_len < all.iov_len ? known->iov_len : all.iov_len;
    if (request == PTRACE_SETREGSET) memcpy(whole, known->iov_base, length);
    long result = real(request, pid, address, &all);
    if (request == PTRACE_GETREGSET && result == 0) {
        size = all.iov_len;
        known->iov_len = length < size ? length : size;
        memcpy(known->iov_base, whole, known->iov_len);
        memset(whole + known->iov_len, 0, size - known->iov_len);
    }
    return result;
}
