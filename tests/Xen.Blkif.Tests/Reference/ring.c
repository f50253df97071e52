/* SPDX-License-Identifier: MIT */
/*
 * Both ends of a blkif ring, made of the RING_* macros of Xen's ring.h, for the tests to walk beside our own.
 *
 * ring.h trusts the other end in two places where our rings do not, and these two are added here:
 *   - what was pushed last is remembered privately, not read back from the shared page;
 *   - indices that no honest peer can have reached stop the ring for good.
 * It also reads the shared index of requests for every request, where ours reads it once for all that it announces.
 *
 * No header of a C library is included, and the linker is given none (-nostdlib): the process that loads this has one.
 */
#define __XEN_INTERFACE_VERSION__ __XEN_LATEST_INTERFACE_VERSION__

#include <stddef.h>
#include <stdint.h>

#define memset __builtin_memset
#define xen_mb()  __atomic_thread_fence(__ATOMIC_SEQ_CST)
#define xen_rmb() __atomic_thread_fence(__ATOMIC_ACQUIRE)
#define xen_wmb() __atomic_thread_fence(__ATOMIC_RELEASE)

/* Fields wider than 4 bytes are all that 32-bit x86 aligns otherwise, so packing to 4 makes its layout of the same header. */
#include <xen/grant_table.h>
#ifdef LAYOUT_X86_32
#pragma pack(push, 4)
#endif
#include <xen/io/blkif.h>
#ifdef LAYOUT_X86_32
#pragma pack(pop)
#endif

#define EXPORT __attribute__((visibility("default")))

struct back {
    blkif_back_ring_t ring;
    RING_IDX announced;  /* the last req_prod that was read and found possible */
    RING_IDX pushed;
    int corrupt;
};

struct front {
    blkif_front_ring_t ring;
    RING_IDX pushed;
    int corrupt;
};

EXPORT uint32_t request_size(void) { return sizeof(struct blkif_request); }
EXPORT uint32_t response_size(void) { return sizeof(struct blkif_response); }
EXPORT uint32_t state_size(void) { return sizeof(struct back) > sizeof(struct front) ? sizeof(struct back) : sizeof(struct front); }

/* The backend's end. */

EXPORT uint32_t back_attach(struct back *back, void *memory, uint32_t length, uint32_t index)
{
    blkif_sring_t *shared = memory;

    BACK_RING_ATTACH(&back->ring, shared, index, length);
    back->announced = index;
    back->pushed = index;
    back->corrupt = 0;
    return RING_SIZE(&back->ring);
}

EXPORT uint32_t back_corrupt(struct back *back) { return back->corrupt; }
EXPORT uint32_t back_unanswered(struct back *back) { return back->ring.req_cons - back->ring.rsp_prod_pvt; }

/* Counted from the last answer, an honest req_prod lies between what was taken and the size of the ring. */
static int back_impossible(struct back *back, RING_IDX producer)
{
    RING_IDX asked = producer - back->ring.rsp_prod_pvt;
    RING_IDX taken = back->ring.req_cons - back->ring.rsp_prod_pvt;

    return RING_REQUEST_PROD_OVERFLOW(&back->ring, producer) || asked < taken;
}

static int back_more(struct back *back)
{
    RING_IDX producer;

    if (back->ring.req_cons != back->announced)
        return 1;
    if (back->corrupt)
        return 0;

    producer = back->ring.sring->req_prod;
    xen_rmb();
    if (back_impossible(back, producer)) {
        back->corrupt = 1;
        return 0;
    }
    back->announced = producer;
    return !!RING_HAS_UNCONSUMED_REQUESTS(&back->ring);
}

EXPORT uint32_t back_take(struct back *back, void *request)
{
    if (!back_more(back))
        return 0;

    /* Not RING_COPY_REQUEST: assigning a struct need not copy its padding, and the test compares every byte. */
    __builtin_memcpy(request, RING_GET_REQUEST(&back->ring, back->ring.req_cons), sizeof(struct blkif_request));
    back->ring.req_cons++;
    return 1;
}

EXPORT void back_put(struct back *back, uint64_t id, uint32_t operation, int32_t status)
{
    struct blkif_response response;

    __builtin_memset(&response, 0, sizeof(response));
    response.id = id;
    response.operation = operation;
    response.status = status;
    __builtin_memcpy(RING_GET_RESPONSE(&back->ring, back->ring.rsp_prod_pvt), &response, sizeof(response));
    back->ring.rsp_prod_pvt++;
}

EXPORT uint32_t back_push(struct back *back)
{
    int notify;

    /* The macro takes the old index from the page; the frontend may have written to it since. */
    back->ring.sring->rsp_prod = back->pushed;
    RING_PUSH_RESPONSES_AND_CHECK_NOTIFY(&back->ring, notify);
    back->pushed = back->ring.rsp_prod_pvt;
    return notify;
}

EXPORT uint32_t back_final_check(struct back *back)
{
    int work;

    if (back->corrupt)
        return 0;
    if (back_more(back) || back->corrupt)
        return 1;

    RING_FINAL_CHECK_FOR_REQUESTS(&back->ring, work);
    return !!work;
}

/* The frontend's end. */

EXPORT uint32_t front_attach(struct front *front, void *memory, uint32_t length, uint32_t index)
{
    blkif_sring_t *shared = memory;

    FRONT_RING_ATTACH(&front->ring, shared, index, length);
    front->pushed = index;
    front->corrupt = 0;
    return RING_SIZE(&front->ring);
}

EXPORT void front_initialise(struct front *front) { SHARED_RING_INIT(front->ring.sring); }
EXPORT uint32_t front_corrupt(struct front *front) { return front->corrupt; }
EXPORT uint32_t front_free(struct front *front) { return RING_FREE_REQUESTS(&front->ring); }

EXPORT uint32_t front_put(struct front *front, const void *request)
{
    if (RING_FULL(&front->ring))
        return 0;

    __builtin_memcpy(RING_GET_REQUEST(&front->ring, front->ring.req_prod_pvt), request, sizeof(struct blkif_request));
    front->ring.req_prod_pvt++;
    return 1;
}

EXPORT uint32_t front_push(struct front *front)
{
    int notify;

    /* As in back_push. */
    front->ring.sring->req_prod = front->pushed;
    RING_PUSH_REQUESTS_AND_CHECK_NOTIFY(&front->ring, notify);
    front->pushed = front->ring.req_prod_pvt;
    return notify;
}

/* Stricter than ring.h: not only no more responses than slots, but no more than requests that were pushed. */
static int front_more(struct front *front)
{
    RING_IDX producer, answerable = front->pushed - front->ring.rsp_cons;

    if (front->corrupt)
        return 0;

    producer = front->ring.sring->rsp_prod;
    xen_rmb();
    if (RING_RESPONSE_PROD_OVERFLOW(&front->ring, producer) || producer - front->ring.rsp_cons > answerable) {
        front->corrupt = 1;
        return 0;
    }
    return !!RING_HAS_UNCONSUMED_RESPONSES(&front->ring);
}

EXPORT uint32_t front_take(struct front *front, void *response)
{
    if (!front_more(front))
        return 0;

    __builtin_memcpy(response, RING_GET_RESPONSE(&front->ring, front->ring.rsp_cons), sizeof(struct blkif_response));
    front->ring.rsp_cons++;
    return 1;
}

EXPORT uint32_t front_final_check(struct front *front)
{
    int work;

    if (front->corrupt)
        return 0;
    if (front_more(front) || front->corrupt)
        return 1;

    RING_FINAL_CHECK_FOR_RESPONSES(&front->ring, work);
    return !!work;
}
