/* SPDX-License-Identifier: MIT */
/*
 * What a C compiler makes of Xen's own headers, as a table of data: sizes, offsets, ring sizes and constants.
 *
 * Nothing in here is ever run. The table is taken out of the object file with objcopy, so that the 32-bit layout (gcc -m32) needs
 * neither 32-bit libraries nor a processor and kernel that run 32-bit programs. The compiler's own headers are all that is
 * included besides Xen's (-ffreestanding), so that no C library has to be installed for either layout.
 */
#define __XEN_INTERFACE_VERSION__ __XEN_LATEST_INTERFACE_VERSION__

#include <stddef.h>
#include <stdint.h>
#include <xen/io/blkif.h>

struct row {
    char name[56];
    int32_t value;  /* an offset in bytes, or the number itself */
    uint32_t size;  /* in bytes; 0 for a number */
};

#define SIZE(type)         { #type, 0, sizeof(struct type) }
#define FIELD(type, field) { #type "." #field, offsetof(struct type, field), sizeof(((struct type *)0)->field) }
#define NUMBER(name)       { #name, name, 0 }
#define SLOTS(order)       { "slots." #order, __CONST_RING_SIZE(blkif, 4096 << order), 0 }

__attribute__((section(".layout"), used))
const struct row table[] = {
    SIZE(blkif_request),
    FIELD(blkif_request, operation),
    FIELD(blkif_request, nr_segments),
    FIELD(blkif_request, handle),
    FIELD(blkif_request, id),
    FIELD(blkif_request, sector_number),
    FIELD(blkif_request, seg),

    SIZE(blkif_request_discard),
    FIELD(blkif_request_discard, operation),
    FIELD(blkif_request_discard, flag),
    FIELD(blkif_request_discard, handle),
    FIELD(blkif_request_discard, id),
    FIELD(blkif_request_discard, sector_number),
    FIELD(blkif_request_discard, nr_sectors),

    SIZE(blkif_request_indirect),
    FIELD(blkif_request_indirect, operation),
    FIELD(blkif_request_indirect, indirect_op),
    FIELD(blkif_request_indirect, nr_segments),
    FIELD(blkif_request_indirect, id),
    FIELD(blkif_request_indirect, sector_number),
    FIELD(blkif_request_indirect, handle),
    FIELD(blkif_request_indirect, indirect_grefs),

    SIZE(blkif_request_segment),
    FIELD(blkif_request_segment, gref),
    FIELD(blkif_request_segment, first_sect),
    FIELD(blkif_request_segment, last_sect),

    SIZE(blkif_response),
    FIELD(blkif_response, id),
    FIELD(blkif_response, operation),
    FIELD(blkif_response, status),

    FIELD(blkif_sring, req_prod),
    FIELD(blkif_sring, req_event),
    FIELD(blkif_sring, rsp_prod),
    FIELD(blkif_sring, rsp_event),
    FIELD(blkif_sring, ring),  /* its size is that of one slot: the stride */
    SLOTS(0),
    SLOTS(1),
    SLOTS(2),
    SLOTS(3),
    SLOTS(4),

    NUMBER(BLKIF_OP_READ),
    NUMBER(BLKIF_OP_WRITE),
    NUMBER(BLKIF_OP_WRITE_BARRIER),
    NUMBER(BLKIF_OP_FLUSH_DISKCACHE),
    NUMBER(BLKIF_OP_RESERVED_1),
    NUMBER(BLKIF_OP_DISCARD),
    NUMBER(BLKIF_OP_INDIRECT),
    NUMBER(BLKIF_RSP_OKAY),
    NUMBER(BLKIF_RSP_ERROR),
    NUMBER(BLKIF_RSP_EOPNOTSUPP),
    NUMBER(BLKIF_MAX_SEGMENTS_PER_REQUEST),
    NUMBER(BLKIF_MAX_INDIRECT_PAGES_PER_REQUEST),
    NUMBER(BLKIF_DISCARD_SECURE),
};
