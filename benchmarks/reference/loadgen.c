/* SPDX-License-Identifier: MIT */
/*
 * A closed-loop load on a block backend, by one thread: as many requests under way as the depth says, each replaced as it is done. Two
 * transports, blkif and vhost-user-blk, so that backends of either kind serve the same client. Prints one JSON object.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>
#include <x86intrin.h>

#include "loadgen.h"

#define BUCKET_NS 100
#define BUCKETS (1 << 20) /* up to a tenth of a second */

static uint32_t histogram[BUCKETS];

void die(const char *what)
{
    fprintf(stderr, "%s: %s\n", what, strerror(errno));
    exit(1);
}

static double now(void)
{
    struct timespec time;

    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec + time.tv_nsec * 1e-9;
}

static double cpu_seconds(void)
{
    struct rusage usage;

    getrusage(RUSAGE_SELF, &usage);
    return usage.ru_utime.tv_sec + usage.ru_stime.tv_sec + (usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) * 1e-6;
}

static double ticks_per_ns(void)
{
    double begin = now(), end;
    uint64_t ticks = __rdtsc();

    do
        end = now();
    while (end - begin < 0.02);
    return (__rdtsc() - ticks) / ((end - begin) * 1e9);
}

void make_shared(struct shared *shared, uint64_t before_data, uint64_t data_length)
{
    const uint64_t large_page = 2 << 20;

    shared->data = (before_data + large_page - 1) & ~(large_page - 1);
    shared->length = (shared->data + data_length + large_page - 1) & ~(large_page - 1);
    shared->memory_fd = memfd_create("guest", 0);
    if (shared->memory_fd < 0 || ftruncate(shared->memory_fd, shared->length) != 0)
        die("memory");
    shared->memory = mmap(NULL, shared->length, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, shared->memory_fd, 0);
    if (shared->memory == MAP_FAILED)
        die("mmap");
    shared->kick_fd = eventfd(0, 0);
    shared->call_fd = eventfd(0, EFD_NONBLOCK);
    if (shared->kick_fd < 0 || shared->call_fd < 0)
        die("eventfd");
}

/* The backend may still be starting. */
int connect_to(const char *path)
{
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);

    if (fd < 0 || strlen(path) >= sizeof(address.sun_path))
        die("socket");
    strcpy(address.sun_path, path);
    for (int attempt = 0; attempt < 250; attempt++) {
        if (connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0)
            return fd;
        usleep(20000);
    }
    die(path);
}

void send_message(int socket_fd, const void *bytes, size_t length, const int *fds, int count)
{
    union { struct cmsghdr header; char bytes[CMSG_SPACE(4 * sizeof(int))]; } control = { 0 };
    struct iovec vector = { (void *)bytes, length };
    struct msghdr message = { .msg_iov = &vector, .msg_iovlen = 1 };

    if (count > 0) {
        message.msg_control = &control;
        message.msg_controllen = CMSG_SPACE(count * sizeof(int));
        control.header.cmsg_level = SOL_SOCKET;
        control.header.cmsg_type = SCM_RIGHTS;
        control.header.cmsg_len = CMSG_LEN(count * sizeof(int));
        memcpy(CMSG_DATA(&control.header), fds, count * sizeof(int));
    }
    if (sendmsg(socket_fd, &message, 0) != (ssize_t)length)
        die("sendmsg");
}

static uint64_t next_offset(const struct load *load)
{
    static uint64_t random = 88172645463325252ull, position;
    uint64_t blocks = load->bytes / load->block;

    if (load->sequential)
        return position++ % blocks * load->block;
    random ^= random << 13;
    random ^= random >> 7;
    random ^= random << 17;
    return random % blocks * load->block;
}

/* Events so far that nobody has waited for. */
static uint64_t drain(int fd)
{
    uint64_t events;

    return read(fd, &events, sizeof(events)) == sizeof(events) ? events : 0;
}

struct result { uint64_t done, failed, kicks, waits, calls; double seconds; };

static struct result run(const struct load *load, const struct transport *transport, struct shared *shared)
{
    struct result result = { 0 };
    double scale = ticks_per_ns() * BUCKET_NS;
    uint64_t *began = calloc(load->depth, sizeof(*began));
    uint32_t *free_requests = calloc(load->depth, sizeof(*free_requests));
    uint32_t free_count = 0, under_way = 0;
    double start = now(), end = start + load->seconds;
    int stopping = 0;

    for (uint32_t i = load->depth; i-- > 0;)
        free_requests[free_count++] = i;
    for (;;) {
        int more = 1;

        if (!stopping && free_count > 0) {
            while (free_count > 0) {
                uint32_t request = free_requests[--free_count];

                transport->put(request, next_offset(load));
                began[request] = __rdtsc();
                under_way++;
            }
            if (transport->push()) {
                uint64_t one = 1;

                result.kicks++;
                if (write(shared->kick_fd, &one, sizeof(one)) != sizeof(one))
                    die("kick");
            }
        }
        if (under_way == 0)
            break;

        while (more) {
            int failed, request;

            while ((request = transport->take(&failed)) >= 0) {
                uint64_t bucket = (__rdtsc() - began[request]) / scale;

                histogram[bucket < BUCKETS ? bucket : BUCKETS - 1]++;
                result.done++;
                result.failed += failed;
                free_requests[free_count++] = request;
                under_way--;
                more = 0;
            }
            if (load->spin) {
                transport->prefer_no_event();
                _mm_pause();
            } else if (more && transport->prepare_wait()) {
                struct pollfd wait = { shared->call_fd, POLLIN, 0 };

                result.waits++;
                poll(&wait, 1, -1);
                result.calls += drain(shared->call_fd);
            }
        }
        if ((result.done & 63) == 0 || load->depth < 64)
            stopping = now() > end;
    }
    result.seconds = now() - start;
    result.calls += drain(shared->call_fd);
    return result;
}

static double percentile(uint64_t done, double share)
{
    uint64_t seen = 0;

    for (uint32_t i = 0; i < BUCKETS; i++) {
        seen += histogram[i];
        if (seen >= done * share)
            return i * BUCKET_NS / 1e3;
    }
    return 0;
}

static void usage(void)
{
    fprintf(stderr, "usage: loadgen blkif|vhost SOCKET BYTES randread|randwrite|read|write BLOCK DEPTH SECONDS spin|block RING-ORDER CPU\n"
                    "CPU may be -1, for any.\n");
    exit(2);
}

int main(int count, char **arguments)
{
    struct load load;
    struct shared shared = { 0 };
    const struct transport *transport;
    struct result result;
    double cpu;

    if (count != 11)
        usage();
    load = (struct load){
        .socket = arguments[2],
        .bytes = strtoull(arguments[3], NULL, 0),
        .write = strstr(arguments[4], "write") != NULL,
        .sequential = strstr(arguments[4], "rand") == NULL,
        .block = atoi(arguments[5]),
        .depth = atoi(arguments[6]),
        .seconds = atof(arguments[7]),
        .spin = strcmp(arguments[8], "spin") == 0,
        .ring_order = atoi(arguments[9]),
    };
    if (load.block < 512 || load.block % 512 != 0 || load.block > (1 << 20) || load.bytes < load.block || load.depth < 1)
        usage();
    if (atoi(arguments[10]) >= 0) {
        cpu_set_t processors;

        CPU_ZERO(&processors);
        CPU_SET(atoi(arguments[10]), &processors);
        if (sched_setaffinity(0, sizeof(processors), &processors) != 0)
            die("sched_setaffinity");
    }

    transport = strcmp(arguments[1], "blkif") == 0 ? &blkif_transport : &vhost_transport;
    transport->open(&load, &shared);
    cpu = cpu_seconds();
    result = run(&load, transport, &shared);
    cpu = cpu_seconds() - cpu;
    printf("{\"iops\":%.0f,\"megabytesPerSecond\":%.2f,\"p50Us\":%.1f,\"p99Us\":%.1f,\"requests\":%lu,\"failed\":%lu,"
           "\"kicksPerRequest\":%.4f,\"callsPerRequest\":%.4f,\"waitsPerRequest\":%.4f,\"clientCpuUs\":%.2f}\n",
           result.done / result.seconds, result.done / result.seconds * load.block / 1e6, percentile(result.done, 0.5),
           percentile(result.done, 0.99), result.done, result.failed, (double)result.kicks / result.done,
           (double)result.calls / result.done, (double)result.waits / result.done, cpu * 1e6 / result.done);
    return result.failed ? 1 : 0;
}
