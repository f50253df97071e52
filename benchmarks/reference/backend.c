/* SPDX-License-Identifier: MIT */
/*
 * A blkif backend in C, to measure the one in C# against: made of Xen's own headers, and going through a request as QEMU's dataplane does.
 *
 * A doorbell is one pass: req_prod is read once, every request that it announces is copied out (the layout of 32-bit x86 into the native
 * one, field by field), checked, and given to a target behind a function pointer, with its data as one iovec. The target answers at once,
 * through another function pointer. The data of a read then goes to the guest by a grant copy, of one piece a segment, behind a third.
 * Before it returns, a pass asks for an event and looks once more.
 *
 * There are two ways to answer, and both are compiled from the same text:
 *   PER_REQUEST  as QEMU: each request has a grant copy, a response that is shown at once, a look whether to notify, and two readings of
 *                the clock for its latency.
 *   PER_PASS     as the backend in C#: all of that once for the requests of a pass, but for the responses, which are shown together.
 *
 * What QEMU has beside this, and what would slow this down, is left out: locks of the AioContext and of the accounting, coroutines and
 * bottom halves of its block layer, clearing of requests, a second array of grant copy pieces. Counters and the histogram of latencies
 * are those of the backend in C#.
 */
#define _GNU_SOURCE
#include <stdlib.h>
#include <sys/uio.h>
#include <time.h>

#include "ring.h"

#define EXPORT __attribute__((visibility("default")))
#define ALWAYS_INLINE inline __attribute__((always_inline))

#define MAX_INDIRECT_SEGMENTS 256
#define MAX_PIECES 1024
#define HISTOGRAM_SUB_BITS 3

enum layout { X86_64, X86_32 };
enum way { PER_REQUEST, PER_PASS };

/* One piece of a grant copy, as in xengnttab.h, which takes a library that nobody here needs. */
struct copy_piece {
    union {
        void *local;
        struct { uint32_t ref; uint16_t offset; uint16_t domid; } foreign;
    } source, dest;
    uint16_t len;
    uint16_t flags;
    int16_t status;
};

struct counters {
    uint64_t done, failed, refused, bytes, max_ns;
    uint64_t buckets[64 << HISTOGRAM_SUB_BITS];
};

struct request {
    struct blkif_request copy;
    struct blkif_request_segment *segments;
    struct blkif_request_segment *indirect; /* room for the most that there may be; made when first needed */
    uint8_t *data;
    struct iovec vector;
    struct backend *backend;
    struct request *next;
    uint64_t start;  /* on the disk, in bytes */
    uint64_t size;
    uint64_t began;  /* by the clock */
    int segment_count;
    int16_t status;
    uint8_t operation; /* that the response names */
    uint8_t flush_first, refused;
};

typedef void (*completion)(struct request *request, int error);

struct target {
    void (*read)(struct request *request, completion done);
    void (*write)(struct request *request, completion done);
    void (*flush)(struct request *request, completion done);
    void (*discard)(struct request *request, uint64_t sectors, completion done);
};

struct backend {
    union {
        blkif_back_ring_t common, native;
        blkif_x86_32_back_ring_t x86_32;
    } ring;
    enum layout layout;
    enum way way;
    const struct target *target;
    int (*grant_copy)(struct backend *backend, struct copy_piece *pieces, uint32_t count);
    uint8_t *guest;
    uint32_t guest_pages;
    uint64_t sectors;
    int read_only, max_indirect;
    struct request *requests;
    struct request *free_requests;
    struct request *finished, **finished_end; /* PER_PASS: in the order in which they ended */
    uint64_t pass_clock;
    uint64_t answered, notifications;
    struct counters reads, writes, flushes, discards, others;
    struct copy_piece pieces[MAX_PIECES];
};

/* Statistics. */

static uint64_t now_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * 1000000000ull + now.tv_nsec;
}

static ALWAYS_INLINE void record(struct counters *counters, uint64_t ns)
{
    unsigned bucket = ns;

    if (ns >= 1 << HISTOGRAM_SUB_BITS) {
        int highest = 63 - __builtin_clzll(ns);
        bucket = ((highest - HISTOGRAM_SUB_BITS + 1) << HISTOGRAM_SUB_BITS)
            + ((ns >> (highest - HISTOGRAM_SUB_BITS)) & ((1 << HISTOGRAM_SUB_BITS) - 1));
    }
    counters->buckets[bucket]++;
    if (ns > counters->max_ns)
        counters->max_ns = ns;
}

static ALWAYS_INLINE struct counters *counters_of(struct backend *backend, uint8_t operation)
{
    switch (operation) {
    case BLKIF_OP_READ: return &backend->reads;
    case BLKIF_OP_WRITE: return &backend->writes;
    case BLKIF_OP_FLUSH_DISKCACHE: return &backend->flushes;
    case BLKIF_OP_DISCARD: return &backend->discards;
    default: return &backend->others;
    }
}

static ALWAYS_INLINE void count(struct request *request, uint64_t now)
{
    struct counters *counters = counters_of(request->backend, request->operation);

    if (request->status == BLKIF_RSP_OKAY) {
        counters->done++;
        counters->bytes += request->size;
    } else {
        counters->failed++;
    }
    record(counters, now - request->began);
}

/* The guest's data. */

static ALWAYS_INLINE uint32_t gather(struct request *request, struct copy_piece *pieces, int to_guest)
{
    uint8_t *local = request->data;

    for (int i = 0; i < request->segment_count; i++) {
        struct blkif_request_segment *segment = &request->segments[i];
        struct copy_piece *piece = &pieces[i];
        uint16_t len = (segment->last_sect - segment->first_sect + 1) * SECTOR_BYTES;

        if (to_guest) {
            piece->source.local = local;
            piece->dest.foreign.ref = segment->gref;
            piece->dest.foreign.offset = segment->first_sect * SECTOR_BYTES;
            piece->dest.foreign.domid = 1;
            piece->flags = GNTCOPY_dest_gref;
        } else {
            piece->dest.local = local;
            piece->source.foreign.ref = segment->gref;
            piece->source.foreign.offset = segment->first_sect * SECTOR_BYTES;
            piece->source.foreign.domid = 1;
            piece->flags = GNTCOPY_source_gref;
        }
        piece->len = len;
        piece->status = GNTST_general_error;
        local += len;
    }
    return request->segment_count;
}

static int copy_data(struct request *request, int to_guest)
{
    struct backend *backend = request->backend;

    if (request->segment_count == 0)
        return 0;
    return backend->grant_copy(backend, backend->pieces, gather(request, backend->pieces, to_guest));
}

/* Brings the segments of an indirect request out of the guest, before any of them is looked at. */
static int copy_segments(struct request *request, uint32_t page)
{
    struct backend *backend = request->backend;
    struct copy_piece piece = {
        .dest.local = request->indirect,
        .source.foreign = { .ref = page, .offset = 0, .domid = 1 },
        .len = request->segment_count * sizeof(struct blkif_request_segment),
        .flags = GNTCOPY_source_gref,
        .status = GNTST_general_error,
    };

    return backend->grant_copy(backend, &piece, 1);
}

/* Answering. */

/* Responses with their padding by name, so that every byte of them is written. The layout of 32-bit x86 ends before the last field. */
struct padded_response {
    uint64_t id;
    uint8_t operation, padding;
    int16_t status;
    uint32_t end;
};
_Static_assert(sizeof(struct padded_response) == sizeof(struct blkif_response), "as in blkif.h");
_Static_assert(offsetof(struct padded_response, end) == sizeof(struct blkif_x86_32_response), "as in blkif.h");

static ALWAYS_INLINE void put_response(struct backend *backend, struct request *request)
{
    RING_IDX index = backend->ring.common.rsp_prod_pvt;
    struct padded_response *response = backend->layout == X86_32
        ? (void *)RING_GET_RESPONSE(&backend->ring.x86_32, index)
        : (void *)RING_GET_RESPONSE(&backend->ring.native, index);

    response->id = request->copy.id;
    response->operation = request->operation;
    response->padding = 0;
    response->status = request->status;
    if (backend->layout != X86_32)
        response->end = 0;
    backend->ring.common.rsp_prod_pvt++;
    backend->answered++;
}

static ALWAYS_INLINE void push_responses(struct backend *backend)
{
    int notify;

    RING_PUSH_RESPONSES_AND_CHECK_NOTIFY(&backend->ring.common, notify);
    backend->notifications += notify;
}

static ALWAYS_INLINE void free_request(struct backend *backend, struct request *request)
{
    request->next = backend->free_requests;
    backend->free_requests = request;
}

static void respond(struct backend *backend, struct request *request)
{
    if (backend->way == PER_PASS) {
        request->next = NULL;
        *backend->finished_end = request;
        backend->finished_end = &request->next;
        return;
    }

    put_response(backend, request);
    push_responses(backend);
    free_request(backend, request);
}

/* PER_PASS: everything that is done, at once. */
static void respond_all(struct backend *backend)
{
    uint32_t pieces = 0;
    uint64_t now;

    if (backend->finished == NULL)
        return;

    for (struct request *request = backend->finished; request != NULL; request = request->next) {
        if (request->status != BLKIF_RSP_OKAY || request->operation != BLKIF_OP_READ)
            continue;
        if (pieces + request->segment_count > MAX_PIECES) {
            backend->grant_copy(backend, backend->pieces, pieces);
            pieces = 0;
        }
        pieces += gather(request, backend->pieces + pieces, 1);
    }
    if (pieces > 0)
        backend->grant_copy(backend, backend->pieces, pieces);

    now = now_ns();
    for (struct request *request = backend->finished, *next; request != NULL; request = next) {
        next = request->next;
        put_response(backend, request);
        if (!request->refused)
            count(request, now);
        free_request(backend, request);
    }
    push_responses(backend);
    backend->finished = NULL;
    backend->finished_end = &backend->finished;
}

static void completed(struct request *request, int error)
{
    struct backend *backend = request->backend;

    if (!error && request->flush_first) {
        request->flush_first = 0;
        backend->target->write(request, completed);
        return;
    }

    request->status = error ? BLKIF_RSP_ERROR : BLKIF_RSP_OKAY;
    if (backend->way == PER_REQUEST) {
        if (!error && request->operation == BLKIF_OP_READ && copy_data(request, 1) != 0)
            request->status = BLKIF_RSP_ERROR;
        count(request, now_ns());
    }
    respond(backend, request);
}

/* Taking and checking. */

static void translate_x86_32(struct blkif_request *to, const struct blkif_x86_32_request *from)
{
    int segments;

    to->operation = from->operation;
    to->nr_segments = from->nr_segments;
    to->handle = from->handle;
    to->id = from->id;
    to->sector_number = from->sector_number;
    xen_rmb();
    if (to->operation == BLKIF_OP_DISCARD) {
        struct blkif_request_discard *discard = (void *)to;
        discard->nr_sectors = ((const struct blkif_x86_32_request_discard *)from)->nr_sectors;
        return;
    }
    if (to->operation == BLKIF_OP_INDIRECT) {
        const struct blkif_x86_32_request_indirect *source = (const void *)from;
        struct blkif_request_indirect *indirect = (void *)to;
        indirect->nr_segments = source->nr_segments;
        indirect->indirect_grefs[0] = source->indirect_grefs[0];
        return;
    }

    segments = to->nr_segments < BLKIF_MAX_SEGMENTS_PER_REQUEST ? to->nr_segments : BLKIF_MAX_SEGMENTS_PER_REQUEST;
    for (int i = 0; i < segments; i++)
        to->seg[i] = from->seg[i];
}

static ALWAYS_INLINE void take(struct backend *backend, struct request *request, RING_IDX index)
{
    if (backend->layout == X86_32)
        translate_x86_32(&request->copy, RING_GET_REQUEST(&backend->ring.x86_32, index));
    else
        memcpy(&request->copy, RING_GET_REQUEST(&backend->ring.native, index), sizeof(request->copy));
    xen_rmb(); /* the copy is what is looked at from here on */
}

static ALWAYS_INLINE int inside(struct backend *backend, uint64_t sector, uint64_t sectors)
{
    return sector <= backend->sectors && sectors <= backend->sectors - sector;
}

static int check_segments(struct request *request)
{
    uint32_t sectors = 0;

    if (request->segment_count == 0)
        return BLKIF_RSP_ERROR;
    for (int i = 0; i < request->segment_count; i++) {
        struct blkif_request_segment *segment = &request->segments[i];

        if (segment->last_sect >= SECTORS_PER_PAGE || segment->first_sect > segment->last_sect)
            return BLKIF_RSP_ERROR;
        sectors += segment->last_sect - segment->first_sect + 1;
    }
    if (!inside(request->backend, request->copy.sector_number, sectors))
        return BLKIF_RSP_ERROR;

    request->start = request->copy.sector_number * SECTOR_BYTES;
    request->size = (uint64_t)sectors * SECTOR_BYTES;
    return BLKIF_RSP_OKAY;
}

static int check_indirect(struct request *request)
{
    struct backend *backend = request->backend;
    struct blkif_request_indirect *indirect = (void *)&request->copy;

    if (indirect->indirect_op != BLKIF_OP_READ && indirect->indirect_op != BLKIF_OP_WRITE)
        return BLKIF_RSP_ERROR;
    if (indirect->indirect_op == BLKIF_OP_WRITE && backend->read_only)
        return BLKIF_RSP_ERROR;
    if (indirect->nr_segments == 0 || indirect->nr_segments > backend->max_indirect)
        return BLKIF_RSP_ERROR;

    if (request->indirect == NULL)
        request->indirect = malloc(MAX_INDIRECT_SEGMENTS * sizeof(struct blkif_request_segment));
    request->segments = request->indirect;
    request->segment_count = indirect->nr_segments;
    if (request->indirect == NULL || copy_segments(request, indirect->indirect_grefs[0]) != 0)
        return BLKIF_RSP_ERROR;
    return check_segments(request);
}

static int check_discard(struct request *request)
{
    struct backend *backend = request->backend;
    struct blkif_request_discard *discard = (void *)&request->copy;

    if (discard->flag & BLKIF_DISCARD_SECURE)
        return BLKIF_RSP_EOPNOTSUPP;
    if (backend->read_only || discard->nr_sectors == 0 || !inside(backend, discard->sector_number, discard->nr_sectors))
        return BLKIF_RSP_ERROR;
    request->start = discard->sector_number * SECTOR_BYTES;
    request->size = discard->nr_sectors * SECTOR_BYTES;
    return BLKIF_RSP_OKAY;
}

static ALWAYS_INLINE int check(struct request *request)
{
    request->operation = request->copy.operation;
    request->flush_first = 0;
    request->size = 0;
    request->segments = request->copy.seg;
    request->segment_count = 0;
    switch (request->copy.operation) {
    case BLKIF_OP_READ:
        break;
    case BLKIF_OP_FLUSH_DISKCACHE:
        if (request->copy.nr_segments == 0)
            return BLKIF_RSP_OKAY;
        request->flush_first = 1;
        /* fall through */
    case BLKIF_OP_WRITE:
        if (request->backend->read_only)
            return BLKIF_RSP_ERROR;
        break;
    case BLKIF_OP_DISCARD:
        return check_discard(request);
    case BLKIF_OP_INDIRECT:
        request->operation = ((struct blkif_request_indirect *)&request->copy)->indirect_op;
        return check_indirect(request);
    default:
        return BLKIF_RSP_EOPNOTSUPP;
    }

    if (request->copy.nr_segments > BLKIF_MAX_SEGMENTS_PER_REQUEST)
        return BLKIF_RSP_ERROR;
    request->segment_count = request->copy.nr_segments;
    return check_segments(request);
}

static ALWAYS_INLINE void start(struct request *request)
{
    struct backend *backend = request->backend;

    request->vector.iov_base = request->data;
    request->vector.iov_len = request->size;
    request->began = backend->way == PER_PASS ? backend->pass_clock : now_ns();
    switch (request->operation) {
    case BLKIF_OP_READ:
        backend->target->read(request, completed);
        return;
    case BLKIF_OP_DISCARD:
        backend->target->discard(request, request->size / SECTOR_BYTES, completed);
        return;
    default:
        if (copy_data(request, 0) != 0)
            completed(request, 1);
        else if (request->operation == BLKIF_OP_WRITE)
            backend->target->write(request, completed);
        else
            backend->target->flush(request, completed);
    }
}

static ALWAYS_INLINE void pass(struct backend *backend)
{
    int more;

    do {
        RING_IDX index = backend->ring.common.req_cons;
        RING_IDX end = backend->ring.common.sring->req_prod;

        xen_rmb(); /* the requests are read after the index that announces them */
        if (RING_REQUEST_PROD_OVERFLOW(&backend->ring.common, end))
            return;
        if (backend->way == PER_PASS && index != end)
            backend->pass_clock = now_ns();

        while (index != end && backend->free_requests != NULL) {
            struct request *request = backend->free_requests;
            int status;

            backend->free_requests = request->next;
            take(backend, request, index);
            backend->ring.common.req_cons = ++index;
            status = check(request);
            request->refused = status != BLKIF_RSP_OKAY;
            if (status == BLKIF_RSP_OKAY) {
                start(request);
            } else {
                request->status = status;
                counters_of(backend, request->operation)->refused++;
                respond(backend, request);
            }
        }
        if (backend->way == PER_PASS)
            respond_all(backend);
        RING_FINAL_CHECK_FOR_REQUESTS(&backend->ring.common, more);
    } while (more);
}

/* What is served from: nothing, at once. */

static void null_transfer(struct request *request, completion done) { done(request, 0); }
static void null_discard(struct request *request, uint64_t sectors, completion done) { (void)sectors; done(request, 0); }

static const struct target null_target = { null_transfer, null_transfer, null_transfer, null_discard };

/* Copies what the guest's memory has: segments of indirect requests. Data is as if it had been copied. */
static int copy_segments_only(struct backend *backend, struct copy_piece *pieces, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        struct copy_piece *piece = &pieces[i];

        if (piece->flags & GNTCOPY_dest_gref)
            return 0; /* all pieces of a copy go one way */
        if (piece->source.foreign.ref < backend->guest_pages)
            memcpy(piece->dest.local, backend->guest + piece->source.foreign.ref * PAGE_BYTES + piece->source.foreign.offset, piece->len);
    }
    return 0;
}

/* What the measuring program calls. */

EXPORT struct backend *backend_open(uint8_t *guest, uint32_t guest_pages, uint32_t ring_bytes, uint32_t layout, uint32_t way, uint64_t sectors, uint32_t max_indirect, uint32_t read_only)
{
    struct backend *backend = calloc(1, sizeof(*backend));
    uint32_t slots;

    backend->layout = layout;
    backend->way = way;
    backend->guest = guest;
    backend->guest_pages = guest_pages;
    backend->sectors = sectors;
    backend->max_indirect = max_indirect;
    backend->read_only = read_only;
    backend->target = &null_target;
    backend->grant_copy = copy_segments_only;
    backend->finished_end = &backend->finished;
    if (layout == X86_32)
        BACK_RING_ATTACH(&backend->ring.x86_32, (blkif_x86_32_sring_t *)guest, ((blkif_x86_32_sring_t *)guest)->rsp_prod, ring_bytes);
    else
        BACK_RING_ATTACH(&backend->ring.native, (blkif_sring_t *)guest, ((blkif_sring_t *)guest)->rsp_prod, ring_bytes);

    slots = RING_SIZE(&backend->ring.common);
    backend->requests = calloc(slots, sizeof(struct request));
    for (uint32_t i = slots; i-- > 0;) {
        struct request *request = &backend->requests[i];
        request->backend = backend;
        request->data = malloc(MAX_INDIRECT_SEGMENTS * PAGE_BYTES); /* address space, which nothing here touches */
        free_request(backend, request);
    }
    return backend;
}

/* A frontend that has put requests into the ring announces so many of them, and rings. Returns the responses. */
EXPORT uint64_t backend_serve(struct backend *backend, uint32_t requests)
{
    uint64_t before = backend->answered;

    xen_wmb();
    backend->ring.common.sring->req_prod += requests;
    pass(backend);
    return backend->answered - before;
}

/* How many requests were done, for the measuring program to see that its requests were honest. */
EXPORT uint64_t backend_done(struct backend *backend)
{
    return backend->reads.done + backend->writes.done + backend->flushes.done + backend->discards.done;
}

/*
 * Serves a frontend that does next to nothing: every slot of the ring holds the same request from the start, of which a response overwrites
 * the first 16 bytes. The frontend announces so many, rings, and puts those bytes back; their slot is read again one trip around the ring later.
 */
EXPORT void backend_run(struct backend *backend, uint32_t batch, uint32_t requests)
{
    uint8_t *slots = backend->guest + offsetof(blkif_sring_t, ring);
    uint32_t stride = backend->layout == X86_32 ? sizeof(union blkif_x86_32_sring_entry) : sizeof(union blkif_sring_entry);
    uint32_t mask = RING_SIZE(&backend->ring.common) - 1;
    RING_IDX end = backend->ring.common.sring->req_prod;
    uint8_t start[16];

    memcpy(start, slots + (end & mask) * stride, sizeof(start));
    for (uint32_t done = 0; done < requests; done += batch) {
        RING_IDX begin = end;

        end += batch;
        xen_wmb();
        backend->ring.common.sring->req_prod = end;
        pass(backend);
        for (RING_IDX i = begin; i != end; i++)
            memcpy(slots + (i & mask) * stride, start, sizeof(start));
    }
}

EXPORT void backend_close(struct backend *backend)
{
    for (uint32_t i = 0; i < RING_SIZE(&backend->ring.common); i++) {
        free(backend->requests[i].data);
        free(backend->requests[i].indirect);
    }
    free(backend->requests);
    free(backend);
}
