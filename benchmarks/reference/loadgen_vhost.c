/* SPDX-License-Identifier: MIT */
/*
 * vhost-user-blk, with one split virtqueue: what QEMU's storage daemon exports. Each request is a chain of three descriptors, which stay
 * as they are: header, data, status. Source: the vhost-user protocol of QEMU's documentation, and linux/virtio_ring.h.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <linux/virtio_blk.h>
#include <linux/virtio_config.h>
#include <linux/virtio_ring.h>

#include "loadgen.h"

#define mb()  __asm__ __volatile__("lock; addl $0, -32(%%rsp)" ::: "memory")
#define wmb() __asm__ __volatile__("" ::: "memory")
#define rmb() __asm__ __volatile__("" ::: "memory")

enum {
    GET_FEATURES = 1, SET_FEATURES = 2, SET_OWNER = 3, SET_MEM_TABLE = 5, SET_VRING_NUM = 8, SET_VRING_ADDR = 9,
    SET_VRING_BASE = 10, SET_VRING_KICK = 12, SET_VRING_CALL = 13, GET_PROTOCOL_FEATURES = 15, SET_PROTOCOL_FEATURES = 16,
    SET_VRING_ENABLE = 18,
};

#define PROTOCOL_FEATURES_BIT 30
#define PROTOCOL_MQ 0
#define PROTOCOL_CONFIG 9
#define VERSION 1
#define GUEST_ADDRESS 0x40000000ull
#define HEADERS 0x100000
#define STATUSES 0x180000
#define DATA 0x200000
#define NO_EVENT 0x4000

struct message {
    uint32_t request, flags, size;
    union {
        uint64_t number;
        struct { uint32_t index, value; } state;
        struct { uint32_t index, flags; uint64_t descriptors, used, available, log; } address;
        struct { uint32_t count, padding; struct { uint64_t guest, size, user, offset; } region; } memory;
    };
} __attribute__((packed));

static const struct load *load;
static struct shared *shared;
static struct vring ring;
static struct virtio_blk_outhdr *headers;
static volatile uint8_t *statuses;
static uint16_t available, pushed, used;
static int has_event_index;

static void tell(uint32_t request, struct message *message, uint32_t size, const int *fd)
{
    message->request = request;
    message->flags = VERSION;
    message->size = size;
    send_message(shared->socket_fd, message, offsetof(struct message, number) + size, fd, fd != NULL);
}

static void tell_number(uint32_t request, uint64_t number)
{
    struct message message = { .number = number };

    tell(request, &message, sizeof(message.number), NULL);
}

static void tell_state(uint32_t request, uint32_t value)
{
    struct message message = { .state = { 0, value } };

    tell(request, &message, sizeof(message.state), NULL);
}

static uint64_t ask(uint32_t request)
{
    struct message message = { 0 };
    ssize_t expected = offsetof(struct message, number) + sizeof(message.number);

    tell(request, &message, 0, NULL);
    if (recv(shared->socket_fd, &message, expected, MSG_WAITALL) != expected)
        die("The daemon gave no answer");
    return message.number;
}

static uint64_t guest_address(const volatile void *address) { return GUEST_ADDRESS + ((const volatile uint8_t *)address - shared->memory); }

static void make_chains(void)
{
    for (uint32_t i = 0; i < load->depth; i++) {
        struct vring_desc *chain = &ring.desc[3 * i];

        headers[i].type = load->write ? VIRTIO_BLK_T_OUT : VIRTIO_BLK_T_IN;
        chain[0] = (struct vring_desc){ guest_address(&headers[i]), sizeof(headers[i]), VRING_DESC_F_NEXT, 3 * i + 1 };
        chain[1] = (struct vring_desc){ GUEST_ADDRESS + shared->data + i * data_bytes(load), load->block,
                                        VRING_DESC_F_NEXT | (load->write ? 0 : VRING_DESC_F_WRITE), 3 * i + 2 };
        chain[2] = (struct vring_desc){ guest_address(&statuses[i]), 1, VRING_DESC_F_WRITE, 0 };
    }
}

static void negotiate(void)
{
    uint64_t wanted = 1ull << VIRTIO_F_VERSION_1 | 1ull << VIRTIO_RING_F_EVENT_IDX | 1ull << PROTOCOL_FEATURES_BIT | 1ull << VIRTIO_BLK_F_FLUSH;
    uint64_t features = ask(GET_FEATURES) & wanted;
    struct message message = { 0 };

    has_event_index = (features >> VIRTIO_RING_F_EVENT_IDX) & 1;
    if (features >> PROTOCOL_FEATURES_BIT & 1)
        tell_number(SET_PROTOCOL_FEATURES, ask(GET_PROTOCOL_FEATURES) & (1ull << PROTOCOL_MQ | 1ull << PROTOCOL_CONFIG));
    tell(SET_OWNER, &message, 0, NULL);
    tell_number(SET_FEATURES, features);

    message.memory.count = 1;
    message.memory.region.guest = GUEST_ADDRESS;
    message.memory.region.size = shared->length;
    message.memory.region.user = (uint64_t)shared->memory;
    tell(SET_MEM_TABLE, &message, sizeof(message.memory), &shared->memory_fd);

    tell_state(SET_VRING_NUM, ring.num);
    tell_state(SET_VRING_BASE, 0);
    memset(&message, 0, sizeof(message));
    message.address.descriptors = (uint64_t)ring.desc;
    message.address.used = (uint64_t)ring.used;
    message.address.available = (uint64_t)ring.avail;
    tell(SET_VRING_ADDR, &message, sizeof(message.address), NULL);
    memset(&message, 0, sizeof(message));
    tell(SET_VRING_CALL, &message, sizeof(message.number), &shared->call_fd);
    tell(SET_VRING_KICK, &message, sizeof(message.number), &shared->kick_fd);
    if (features >> PROTOCOL_FEATURES_BIT & 1)
        tell_state(SET_VRING_ENABLE, 1);
    ask(GET_FEATURES); /* everything before it was heard */
}

static void vhost_open(const struct load *for_load, struct shared *to)
{
    uint32_t slots = 128;

    load = for_load;
    shared = to;
    while (slots < 3 * load->depth)
        slots *= 2;
    if (slots > 1024) {
        fprintf(stderr, "The export has 1024 descriptors at most, too few for a depth of %u.\n", load->depth);
        exit(2);
    }
    make_shared(to, DATA, load->depth * data_bytes(load));
    vring_init(&ring, slots, to->memory, 4096);
    headers = (void *)(to->memory + HEADERS);
    statuses = to->memory + STATUSES;
    make_chains();
    to->socket_fd = connect_to(load->socket);
    negotiate();
}

static void vhost_put(uint32_t request, uint64_t offset)
{
    headers[request].sector = offset / 512;
    statuses[request] = 0xff;
    ring.avail->ring[available & (ring.num - 1)] = 3 * request;
    available++;
}

/* The event indices lie behind the rings, as if they were one entry more. */
static volatile uint16_t *avail_event(void) { void *behind = &ring.used->ring[ring.num]; return behind; }
static volatile uint16_t *used_event(void) { void *behind = &ring.avail->ring[ring.num]; return behind; }

static int vhost_push(void)
{
    uint16_t before = pushed;

    wmb();
    *(volatile uint16_t *)&ring.avail->idx = pushed = available;
    mb();
    if (!has_event_index)
        return !(*(volatile uint16_t *)&ring.used->flags & VRING_USED_F_NO_NOTIFY);
    return vring_need_event(*avail_event(), pushed, before);
}

static int vhost_take(int *failed)
{
    uint32_t request;

    if (used == *(volatile uint16_t *)&ring.used->idx)
        return -1;
    rmb();
    request = ring.used->ring[used & (ring.num - 1)].id / 3;
    used++;
    *failed = statuses[request] != VIRTIO_BLK_S_OK;
    return request;
}

static int vhost_prepare_wait(void)
{
    *used_event() = used;
    mb();
    return used == *(volatile uint16_t *)&ring.used->idx;
}

static void vhost_prefer_no_event(void)
{
    *used_event() = used + NO_EVENT;
    ring.avail->flags = VRING_AVAIL_F_NO_INTERRUPT;
}

const struct transport vhost_transport = { vhost_open, vhost_put, vhost_push, vhost_take, vhost_prepare_wait, vhost_prefer_no_event };
