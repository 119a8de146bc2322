// A kernel library written by hand against the tables of docs/spec/executables.md §1: every field is spelled out here, so
// that a wrong offset in src/abi.rs shows. Built by build.sh; with -DIMPORTS it imports functions and has one export less.

typedef unsigned char u8;
typedef unsigned short u16;
typedef unsigned int u32;
typedef int i32;
typedef unsigned long long u64;

typedef struct {
  const u32* constants;
  i32 (*import_thunk)(void* fn, void* params, void* context, void* reserved);
  void* const* import_funcs;
  void* const* import_contexts;
  u64 processor[8];
} environment_t;

typedef struct {
  u32 size_x, size_y;
  u16 size_z, constant_count;
  u32 count_x, count_y;
  u16 count_z;
  u8 max_concurrency, binding_count;
  const u32* constants;
  void* const* binding_ptrs;
  const u64* binding_lengths;
} dispatch_t;

typedef struct {
  u32 id_x, id_y;
  u16 id_z, reserved;
  u32 processor_id;
  void* local_memory;
  u32 local_memory_size, padding;
} workgroup_t;

typedef i32 kernel_t(const environment_t*, const dispatch_t*, const workgroup_t*);

typedef struct { u32 version; const char* name; u32 features, sanitizer; } header_t;
typedef struct {
  u64 flags;
  u16 local_memory_pages;
  u8 constant_count, binding_count;
  u32 size_x, size_y;
  u16 size_z, parameter_count;
  u64 reserved[5];
} attributes_t;
typedef struct { u8 type, size; u16 flags, name, offset; } parameter_t;
typedef struct { u32 line, path_length; const char* path; } location_t;
typedef struct { u32 count; const char* const* names; const location_t* locations; } stages_t;
typedef struct {
  const header_t* header;
  struct { u32 count; const char* const* symbols; } imports;
  struct {
    u32 count;
    kernel_t* const* ptrs;
    const attributes_t* attrs;
    const parameter_t* const* params;
    const u32* occupancy;
    const char* const* names;
    const char* const* tags;
    const char* const* parameter_names;
    const location_t* source_locations;
    const stages_t* stage_locations;
  } exports;
  struct { u32 count; } constants __attribute__((aligned(8)));
  struct { u32 count; const void* files; } sources;
} library_t;

static u32 linear(const dispatch_t* d, const workgroup_t* w) {
  return (w->id_z * d->count_y + w->id_y) * d->count_x + w->id_x;
}

// out[x] = in[x] + constant 0.
static i32 add(const environment_t* e, const dispatch_t* d, const workgroup_t* w) {
  const float* in = d->binding_ptrs[0];
  float* out = d->binding_ptrs[1];
  out[w->id_x] = in[w->id_x] + *(const float*)d->constants;
  return 0;
}

// Writes what it was told, 16 words for each workgroup, and how the how-many-th call it was.
// Fails with the number of the first thing that is wrong.
static i32 inspect(const environment_t* e, const dispatch_t* d, const workgroup_t* w) {
  u32* calls = d->binding_ptrs[0];
  u32* out = (u32*)d->binding_ptrs[1] + 16 * linear(d, w);
  if (((u64)e | (u64)d | (u64)w) % 64) return 1;
  if ((u64)e + 96 > (u64)d && (u64)d + 48 > (u64)e) return 2;
  if ((u64)w + 32 > (u64)d && (u64)d + 48 > (u64)w) return 3;
  if ((u64)e + 96 > (u64)w && (u64)w + 32 > (u64)e) return 4;
  if (w->reserved || w->padding) return 5;
  if (w->local_memory_size && (u64)w->local_memory % 64) return 6;
  if (!w->local_memory_size && w->local_memory) return 7;
  if (e->constants || e->import_thunk) return 8;
  for (u32 i = 0; i < w->local_memory_size; ++i) ((u8*)w->local_memory)[i] = (u8)i;
  out[0] = w->id_x; out[1] = w->id_y; out[2] = w->id_z;
  out[3] = d->size_x; out[4] = d->size_y; out[5] = d->size_z;
  out[6] = d->count_x; out[7] = d->count_y; out[8] = d->count_z;
  out[9] = d->max_concurrency; out[10] = d->binding_count; out[11] = d->constant_count;
  out[12] = w->local_memory_size; out[13] = (u32)d->binding_lengths[1]; out[14] = w->processor_id;
  out[15] = calls[0]++;
  return 0;
}

// Counts calls; the call for workgroup `constant 0` returns `constant 1`.
static i32 fail(const environment_t* e, const dispatch_t* d, const workgroup_t* w) {
  ++*(u32*)d->binding_ptrs[0];
  return linear(d, w) == d->constants[0] ? (i32)d->constants[1] : 0;
}

// Global data of every kind: zeroed, initialised, pointers to own data (64-bit absolute), symbols that others might
// replace (GLOB_DAT) and functions that others might replace (JUMP_SLOT).
static u32 zeroed[1024];
static u32 counter = 40;
u32 table[4] = {10, 20, 30, 40};
u32* pointer = &table[2];
__attribute__((noinline)) u32 twice(u32 x) { return 2 * x; }

static i32 globals(const environment_t* e, const dispatch_t* d, const workgroup_t* w) {
  u32* out = d->binding_ptrs[0];
  zeroed[1023] += 5;
  ++counter;
  out[0] = zeroed[1023]; out[1] = counter; out[2] = *pointer; out[3] = table[1]; out[4] = twice(21);
  return 0;
}

// Calls the imports: required with {result, argument}, optional if it is there.
static i32 call(const environment_t* e, const dispatch_t* d, const workgroup_t* w) {
  struct { i32 result, argument; } params = {0, (i32)d->constants[0]};
  i32* out = d->binding_ptrs[0];
  i32 code = e->import_thunk(e->import_funcs[0], &params, e->import_contexts[0], 0);
  if (code) return code;
  out[0] = params.result;
  out[1] = -1;
  if (e->import_funcs[1]) {
    code = e->import_thunk(e->import_funcs[1], &params, e->import_contexts[1], 0);
    if (code) return code;
    out[1] = params.result;
  }
  return 0;
}

static const header_t header = {6, "handmade", 0, 0};
#ifdef IMPORTS
static const char* const imports[] = {"alpha_v1", "?beta_v1"};
static kernel_t* const ptrs[] = {call};
static const attributes_t attrs[] = {{0, 0, 1, 1, 0, 0, 0, 0, {0}}};
static const char* const names[] = {"call"};
static const library_t library = {
  &header, {2, imports}, {1, ptrs, attrs, 0, 0, names, 0, 0, 0, 0}, {0}, {0, 0},
};
#else
static kernel_t* const ptrs[] = {add, inspect, fail, globals};
static const attributes_t attrs[] = {
  {0, 0, 1, 2, 0, 0, 0, 3, {0}},
  {3, 2, 0, 2, 4, 2, 1, 0, {0}},
  {0, 0, 2, 1, 0, 0, 0, 0, {0}},
  {0, 0, 0, 1, 0, 0, 0, 0, {0}},
};
// Source order differs from the order of the constants; the last kind is unknown.
static const parameter_t add_params[] = {{1, 0, 0, 0, 1}, {1, 0, 0, 1, 0}, {9, 4, 0, 0xFFFF, 0}};
static const parameter_t* const params[] = {add_params, 0, 0, 0};
static const char* const parameter_names[] = {"out", "in"};
static const char* const names[] = {"add", "inspect", "fail", "globals"};
static const char* const tags[] = {"adds one constant", 0, 0, 0};
static const location_t locations[] = {{10, 6, "hand.c"}, {20, 6, "hand.c"}, {30, 6, "hand.c"}, {40, 6, "hand.c"}};
static const char* const stage_names[] = {"ir"};
static const location_t stage_locations[] = {{7, 5, "ir.ml"}};
// Stages of the second export only. Tables of length 0 may point anywhere.
static const stages_t stages[] = {{0, (void*)8, (void*)8}, {1, stage_names, stage_locations}, {0, 0, 0}, {0, 0, 0}};
static const library_t library = {
  &header, {0, (void*)1}, {4, ptrs, attrs, params, 0, names, tags, parameter_names, locations, stages}, {0}, {0, (void*)3},
};
#endif

const library_t* iree_hal_executable_library_query(u32 max_version, const environment_t* e) {
  return max_version == 6 ? &library : 0;
}
