/* SPDX-License-Identifier: MIT */
/* What the two transports of the load generator have in common. */
#ifndef REFERENCE_LOADGEN_H
#define REFERENCE_LOADGEN_H

#include <stddef.h>
#include <stdint.h>

struct load {
    const char *socket;
    uint64_t bytes;      /* of the disk that is used */
    uint32_t block;      /* of a request, in bytes */
    uint32_t depth;      /* requests under way at once */
    uint32_t ring_order; /* of a blkif ring */
    int write, sequential, spin;
    double seconds;
};

/* Memory shared with the backend: one file, from the start of which the transport takes what it needs. */
struct shared {
    uint8_t *memory;
    uint64_t length;
    uint64_t data;       /* where the data begins: page after page for request after request */
    int memory_fd, kick_fd, call_fd, socket_fd;
};

/* A request is named by a number below the depth. */
struct transport {
    void (*open)(const struct load *load, struct shared *shared);
    void (*put)(uint32_t request, uint64_t offset);
    int (*push)(void);                /* whether the backend wants to be kicked */
    int (*take)(int *failed);         /* a request that is done; negative where there is none */
    int (*prepare_wait)(void);        /* asks for an event; whether there is still nothing to take */
    void (*prefer_no_event)(void);    /* for a client that looks again and again */
};

extern const struct transport blkif_transport, vhost_transport;

/* Bytes of a request's data, in whole pages. */
static inline uint64_t data_bytes(const struct load *load) { return (load->block + 4095ull) & ~4095ull; }

void die(const char *what) __attribute__((noreturn));
void make_shared(struct shared *shared, uint64_t before_data, uint64_t data_length);
int connect_to(const char *path);
void send_message(int socket_fd, const void *bytes, size_t length, const int *fds, int count);

#endif
