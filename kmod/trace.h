/* SPDX-License-Identifier: GPL-2.0-only */
/* ccbuf_heap:{alloc,free,convert,leak,revoke}; see ccbuf_heap(4). */
#undef TRACE_SYSTEM
#define TRACE_SYSTEM ccbuf_heap

#if !defined(CCBUF_TRACE_H) || defined(TRACE_HEADER_MULTI_READ)
#define CCBUF_TRACE_H

#include <linux/tracepoint.h>

DECLARE_EVENT_CLASS(ccbuf_buffer,
	TP_PROTO(u64 id, u64 bytes, unsigned int runs),
	TP_ARGS(id, bytes, runs),
	TP_STRUCT__entry(
		__field(u64, id)
		__field(u64, bytes)
		__field(unsigned int, runs)
	),
	TP_fast_assign(
		__entry->id = id;
		__entry->bytes = bytes;
		__entry->runs = runs;
	),
	TP_printk("id=%llu bytes=%llu runs=%u", __entry->id, __entry->bytes, __entry->runs)
);

DEFINE_EVENT(ccbuf_buffer, alloc,
	TP_PROTO(u64 id, u64 bytes, unsigned int runs),
	TP_ARGS(id, bytes, runs)
);

/* the memory is given back; for a revoked buffer that is before it is closed */
DEFINE_EVENT(ccbuf_buffer, free,
	TP_PROTO(u64 id, u64 bytes, unsigned int runs),
	TP_ARGS(id, bytes, runs)
);

TRACE_EVENT(convert,
	TP_PROTO(unsigned long pfn, unsigned int order, bool shared, int ret),
	TP_ARGS(pfn, order, shared, ret),
	TP_STRUCT__entry(
		__field(unsigned long, pfn)
		__field(unsigned int, order)
		__field(bool, shared)
		__field(int, ret)
	),
	TP_fast_assign(
		__entry->pfn = pfn;
		__entry->order = order;
		__entry->shared = shared;
		__entry->ret = ret;
	),
	TP_printk("pfn=0x%lx order=%u to=%s ret=%d", __entry->pfn, __entry->order,
		  __entry->shared ? "shared" : "private", __entry->ret)
);

TRACE_EVENT(leak,
	TP_PROTO(unsigned long pfn, unsigned int order),
	TP_ARGS(pfn, order),
	TP_STRUCT__entry(
		__field(unsigned long, pfn)
		__field(unsigned int, order)
	),
	TP_fast_assign(
		__entry->pfn = pfn;
		__entry->order = order;
	),
	TP_printk("pfn=0x%lx order=%u", __entry->pfn, __entry->order)
);

/* how many mappings the buffer had by devices and by the kernel when they had been told */
TRACE_EVENT(revoke,
	TP_PROTO(u64 id, unsigned int mappings, unsigned int vmaps),
	TP_ARGS(id, mappings, vmaps),
	TP_STRUCT__entry(
		__field(u64, id)
		__field(unsigned int, mappings)
		__field(unsigned int, vmaps)
	),
	TP_fast_assign(
		__entry->id = id;
		__entry->mappings = mappings;
		__entry->vmaps = vmaps;
	),
	TP_printk("id=%llu mappings=%u vmaps=%u", __entry->id, __entry->mappings, __entry->vmaps)
);

#endif

#undef TRACE_INCLUDE_PATH
#define TRACE_INCLUDE_PATH .
#undef TRACE_INCLUDE_FILE
#define TRACE_INCLUDE_FILE trace
#include <trace/define_trace.h>
