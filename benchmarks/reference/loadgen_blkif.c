/* SPDX-License-Identifier: MIT */
/*
 * blkif over shared memory. One message on a Unix socket carries the memory and two eventfds (the event channel towards the backend,
 * then that towards the client) with four numbers: the magic, the ring's page order, the bytes of the memory, where the data begins.
 * The ring is at the start of the memory; a grant reference is a page's number in it. The backend answers one byte when it serves; the
 * end of the connection means that the client is gone.
 */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "loadgen.h"
#include "ring.h"

#define MAGIC 0x424c4b49ull
#define NO_EVENT 0x40000000u

static blkif_front_ring_t ring;
static const struct load *load;
static const struct shared *shared;
static uint32_t segments;
static uint64_t segment_pages; /* of indirect requests: one for each request, from here */

static int is_indirect(void) { return segments > BLKIF_MAX_SEGMENTS_PER_REQUEST; }

static void fill_segments(struct blkif_request_segment *to, uint32_t request)
{
    uint64_t page = (shared->data + request * data_bytes(load)) / PAGE_BYTES;

    for (uint32_t i = 0; i < segments; i++) {
        to[i].gref = page + i;
        to[i].first_sect = 0;
        to[i].last_sect = load->block < PAGE_BYTES ? load->block / SECTOR_BYTES - 1 : SECTORS_PER_PAGE - 1;
    }
}

static void blkif_open(const struct load *for_load, struct shared *to)
{
    uint64_t ring_bytes = (uint64_t)PAGE_BYTES << for_load->ring_order;
    uint64_t hello[4];
    blkif_sring_t *sring;
    char ready;

    load = for_load;
    shared = to;
    segments = data_bytes(load) / PAGE_BYTES;
    segment_pages = ring_bytes;
    make_shared(to, ring_bytes + (is_indirect() ? (uint64_t)load->depth * PAGE_BYTES : 0), load->depth * data_bytes(load));
    sring = (blkif_sring_t *)to->memory;
    SHARED_RING_INIT(sring);
    FRONT_RING_INIT(&ring, sring, ring_bytes);
    if (load->depth > RING_SIZE(&ring)) {
        fprintf(stderr, "A ring of order %u has %u slots, less than the depth of %u.\n", load->ring_order, RING_SIZE(&ring), load->depth);
        exit(2);
    }
    for (uint32_t i = 0; is_indirect() && i < load->depth; i++)
        fill_segments((void *)(to->memory + segment_pages + (uint64_t)i * PAGE_BYTES), i);

    hello[0] = MAGIC;
    hello[1] = load->ring_order;
    hello[2] = to->length;
    hello[3] = to->data;
    to->socket_fd = connect_to(load->socket);
    send_message(to->socket_fd, hello, sizeof(hello), (int[]){ to->memory_fd, to->kick_fd, to->call_fd }, 3);
    if (read(to->socket_fd, &ready, 1) != 1) {
        fprintf(stderr, "The backend at %s refused to serve.\n", load->socket);
        exit(1);
    }
}

static void blkif_put(uint32_t number, uint64_t offset)
{
    struct blkif_request *request = RING_GET_REQUEST(&ring, ring.req_prod_pvt);
    uint8_t operation = load->write ? BLKIF_OP_WRITE : BLKIF_OP_READ;

    if (is_indirect()) {
        struct blkif_request_indirect *indirect = (void *)request;

        indirect->operation = BLKIF_OP_INDIRECT;
        indirect->indirect_op = operation;
        indirect->nr_segments = segments;
        indirect->id = number;
        indirect->sector_number = offset / SECTOR_BYTES;
        indirect->handle = 0;
        indirect->indirect_grefs[0] = segment_pages / PAGE_BYTES + number;
    } else {
        request->operation = operation;
        request->nr_segments = segments;
        request->handle = 0;
        request->id = number;
        request->sector_number = offset / SECTOR_BYTES;
        fill_segments(request->seg, number);
    }
    ring.req_prod_pvt++;
}

static int blkif_push(void)
{
    int kick;

    RING_PUSH_REQUESTS_AND_CHECK_NOTIFY(&ring, kick);
    return kick;
}

static int blkif_take(int *failed)
{
    struct blkif_response *response;

    if (ring.rsp_cons == *(volatile RING_IDX *)&ring.sring->rsp_prod)
        return -1;
    xen_rmb();
    response = RING_GET_RESPONSE(&ring, ring.rsp_cons);
    ring.rsp_cons++;
    *failed = response->status != BLKIF_RSP_OKAY;
    return response->id;
}

static int blkif_prepare_wait(void)
{
    int more;

    RING_FINAL_CHECK_FOR_RESPONSES(&ring, more);
    return !more;
}

static void blkif_prefer_no_event(void) { *(volatile RING_IDX *)&ring.sring->rsp_event = ring.rsp_cons + NO_EVENT; }

const struct transport blkif_transport = { blkif_open, blkif_put, blkif_push, blkif_take, blkif_prepare_wait, blkif_prefer_no_event };
