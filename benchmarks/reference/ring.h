/* SPDX-License-Identifier: MIT */
/*
 * Xen's own ring.h and blkif.h, with the barriers that Xen's xenctrl.h has for x86_64, and the layout of 32-bit x86 beside the native one.
 */
#ifndef REFERENCE_RING_H
#define REFERENCE_RING_H

#define __XEN_INTERFACE_VERSION__ __XEN_LATEST_INTERFACE_VERSION__

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define xen_mb()  __asm__ __volatile__("lock; addl $0, -32(%%rsp)" ::: "memory")
#define xen_rmb() __asm__ __volatile__("" ::: "memory")
#define xen_wmb() __asm__ __volatile__("" ::: "memory")

#include <xen/grant_table.h>
#include <xen/io/blkif.h>

#define PAGE_BYTES 4096
#define SECTOR_BYTES 512
#define SECTORS_PER_PAGE (PAGE_BYTES / SECTOR_BYTES)

/* 32-bit x86 aligns 64-bit integers to 4 bytes: that is all that its layout has of its own. */
#pragma pack(push, 4)
struct blkif_x86_32_request {
    uint8_t operation;
    uint8_t nr_segments;
    blkif_vdev_t handle;
    uint64_t id;
    blkif_sector_t sector_number;
    struct blkif_request_segment seg[BLKIF_MAX_SEGMENTS_PER_REQUEST];
};

struct blkif_x86_32_request_discard {
    uint8_t operation;
    uint8_t flag;
    blkif_vdev_t handle;
    uint64_t id;
    blkif_sector_t sector_number;
    uint64_t nr_sectors;
};

struct blkif_x86_32_request_indirect {
    uint8_t operation;
    uint8_t indirect_op;
    uint16_t nr_segments;
    uint64_t id;
    blkif_sector_t sector_number;
    blkif_vdev_t handle;
    grant_ref_t indirect_grefs[BLKIF_MAX_INDIRECT_PAGES_PER_REQUEST];
    uint64_t pad;
};

struct blkif_x86_32_response {
    uint64_t id;
    uint8_t operation;
    int16_t status;
};
#pragma pack(pop)

DEFINE_RING_TYPES(blkif_x86_32, struct blkif_x86_32_request, struct blkif_x86_32_response);

#endif
