/* A stand-in for libnvidia-ml.so.1: NVML's C interface, answering from a text file of "key=value" lines.
 *
 * The file (environment variable NVML_STUB) is read again at each call, so a test changes the machine
 * between two calls. "<function>=15" makes that function fail with this nvmlReturn_t, "<function>=hang"
 * makes it never return; other keys are values, with the defaults that stand beside their use. "every=4" makes
 * all functions fail so, "lost_after=9" those after this process's ninth call with 15. A key for one
 * GPU is prefixed by its number: "1.uuid". Layouts are written from NVML's documented structures, not from
 * pynvml, so that a wrong one on either side shows. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

typedef struct { int number; int is_instance; } Device;
typedef struct { int order; int instance; const Device *device; } Sample;

enum { UNINITIALIZED = 1, INVALID = 2, NOT_SUPPORTED = 3, NOT_FOUND = 6, TOO_SMALL = 7, LOST = 15, VERSION = 25 };

static Device gpus[8] = {{0, 0}, {1, 0}, {2, 0}, {3, 0}, {4, 0}, {5, 0}, {6, 0}, {7, 0}};
static Device instance = {0, 1};
static int initialized, samples_alive, samples_taken;
static uint64_t energy_reads, memory_reads, power_reads, clock_reads, temperature_reads, field_reads, calls;

static const char *setting(const char *key, const char *otherwise) {
    static __thread char found[8][256];
    static __thread int turn;
    char line[512];
    const char *path = getenv("NVML_STUB"), *result = otherwise;
    FILE *file = path ? fopen(path, "r") : NULL;
    if (!file) return otherwise;
    size_t length = strlen(key);
    while (fgets(line, sizeof line, file)) {
        line[strcspn(line, "\n")] = 0;
        if (!strncmp(line, key, length) && line[length] == '=') {
            turn = (turn + 1) % 8;
            snprintf(found[turn], sizeof found[turn], "%s", line + length + 1);
            result = found[turn];
        }
    }
    fclose(file);
    return result;
}

static const char *of_gpu(const Device *device, const char *key, const char *otherwise) {
    char full[64];
    snprintf(full, sizeof full, "%d.%s", device->number, key);
    return setting(full, setting(key, otherwise));
}

static uint64_t number(const char *key, const char *otherwise) {
    return strtoull(setting(key, otherwise), NULL, 0);
}

static int outcome(const char *function) {
    const char *asked = setting(function, setting("every", "0"));
    if (++calls > number("lost_after", "-1")) return LOST;
    if (!strcmp(asked, "hang")) for (;;) pause();
    if (strcmp(asked, "0")) return atoi(asked);
    if (!initialized && strcmp(function, "nvmlInitWithFlags")) return UNINITIALIZED;
    return 0;
}

#define ENTER do { int code = outcome(__func__); if (code) return code; } while (0)
#define WHOLE_GPU do { if (device->is_instance) return NOT_SUPPORTED; } while (0)

static int text(char *buffer, unsigned size, const char *value) {
    if (strlen(value) + 1 > size) return TOO_SMALL;
    strcpy(buffer, value);
    return 0;
}

/* What the tests ask about the stub itself. */
int stub_begin(void) { calls = memory_reads = power_reads = clock_reads = 0; return 0; }
int stub_samples_alive(void) { return samples_alive; }
int stub_samples_taken(void) { return samples_taken; }
int stub_initialized(void) { return initialized; }

int nvmlInitWithFlags(unsigned flags) { (void)flags; ENTER; initialized++; return 0; }
int nvmlShutdown(void) { ENTER; initialized--; return 0; }

int nvmlSystemGetDriverVersion(char *buffer, unsigned size) { ENTER; return text(buffer, size, setting("driver", "580.95.05")); }
int nvmlSystemGetNVMLVersion(char *buffer, unsigned size) { ENTER; return text(buffer, size, setting("nvml", "13.580.95.05")); }
int nvmlSystemGetCudaDriverVersion(int *version) { ENTER; *version = (int)number("cuda", "13020"); return 0; }

int nvmlDeviceGetCount_v2(unsigned *count) { ENTER; *count = (unsigned)number("count", "1"); return 0; }

int nvmlDeviceGetHandleByIndex_v2(unsigned index, Device **device) {
    ENTER;
    if (index >= number("count", "1")) return INVALID;
    if (strcmp(of_gpu(&gpus[index], "handle", "0"), "0")) return atoi(of_gpu(&gpus[index], "handle", "0"));
    *device = &gpus[index];
    return 0;
}

static const char *uuid_of(const Device *device) {
    static __thread char made[64];
    snprintf(made, sizeof made, "GPU-%08x-0000-4000-8000-000000000000", 0xa0000000u + device->number);
    return device->is_instance ? setting("mig.uuid", "MIG-11111111-2222-4333-8444-555555555555")
                               : of_gpu(device, "uuid", made);
}

int nvmlDeviceGetHandleByUUID(const char *uuid, Device **device) {
    ENTER;
    for (unsigned i = 0; i < number("count", "1"); i++)
        if (!strcmp(uuid, uuid_of(&gpus[i]))) { *device = &gpus[i]; return 0; }
    if (!strcmp(uuid, uuid_of(&instance))) { *device = &instance; return 0; }
    return NOT_FOUND;
}

static const char *bus_of(const Device *device) {
    static __thread char made[32];
    snprintf(made, sizeof made, "00000000:%02X:00.0", 0x10 + device->number);
    return of_gpu(device, "bus", made);
}

int nvmlDeviceGetHandleByPciBusId_v2(const char *bus, Device **device) {
    ENTER;
    for (unsigned i = 0; i < number("count", "1"); i++)
        if (!strcmp(bus, bus_of(&gpus[i]))) { *device = &gpus[i]; return 0; }
    return NOT_FOUND;
}

int nvmlDeviceGetName(Device *device, char *buffer, unsigned size) {
    ENTER;
    return text(buffer, size, device->is_instance ? "NVIDIA H100 MIG 1g.10gb" : of_gpu(device, "name", "NVIDIA H100"));
}
int nvmlDeviceGetUUID(Device *device, char *buffer, unsigned size) { ENTER; return text(buffer, size, uuid_of(device)); }

struct pci { char legacy[16]; unsigned domain, bus, device, id, subsystem; char bus_id[32]; };
int nvmlDeviceGetPciInfo_v3(Device *device, struct pci *info) {
    ENTER; WHOLE_GPU;
    memset(info, 0, sizeof *info);
    strcpy(info->bus_id, bus_of(device));
    return 0;
}

int nvmlDeviceGetMemoryBusWidth(Device *device, unsigned *bits) { ENTER; WHOLE_GPU; *bits = (unsigned)number("width", "5120"); return 0; }
int nvmlDeviceGetMaxClockInfo(Device *device, unsigned domain, unsigned *mhz) {
    ENTER; WHOLE_GPU;
    *mhz = domain == 2 ? (unsigned)number("max_memory_mhz", "2619") : domain == 1 ? 1980 : 7;
    return 0;
}
/* Both clocks rise by clock_step_mhz from one reading of the two to the next. */
int nvmlDeviceGetClockInfo(Device *device, unsigned domain, unsigned *mhz) {
    ENTER; WHOLE_GPU;
    *mhz = domain == 2 ? 2618 : domain == 1 ? 1755 : 7;
    *mhz += (unsigned)(clock_reads++ / 2 * number("clock_step_mhz", "0"));
    return 0;
}
int nvmlDeviceGetCudaComputeCapability(Device *device, int *major, int *minor) { ENTER; WHOLE_GPU; *major = 9; *minor = 0; return 0; }
int nvmlDeviceGetEccMode(Device *device, unsigned *current, unsigned *pending) { ENTER; WHOLE_GPU; *current = 1; *pending = 0; return 0; }
int nvmlDeviceGetEnforcedPowerLimit(Device *device, unsigned *mw) { ENTER; WHOLE_GPU; *mw = 700500; return 0; }
int nvmlDeviceGetPersistenceMode(Device *device, unsigned *mode) { ENTER; WHOLE_GPU; *mode = 0; return 0; }
int nvmlDeviceGetMigMode(Device *device, unsigned *current, unsigned *pending) {
    ENTER; WHOLE_GPU;
    *current = (unsigned)number("mig", "0"); *pending = 1;
    return 0;
}

int nvmlDeviceIsMigDeviceHandle(Device *device, unsigned *is) { ENTER; *is = (unsigned)device->is_instance; return 0; }
int nvmlDeviceGetDeviceHandleFromMigDeviceHandle(Device *device, Device **parent) { ENTER; (void)device; *parent = &gpus[0]; return 0; }
int nvmlDeviceGetGpuInstanceId(Device *device, unsigned *id) {
    ENTER;
    if (!device->is_instance) return NOT_FOUND;
    *id = 9;
    return 0;
}

struct memory_v1 { unsigned long long total, free, used; };
struct memory_v2 { unsigned version; unsigned long long total, reserved, free, used; };
int nvmlDeviceGetMemoryInfo(Device *device, struct memory_v1 *info) {
    ENTER; (void)device;
    info->total = 85899345920; info->free = 85899345920 - 3003; info->used = 3003;
    return 0;
}
int nvmlDeviceGetMemoryInfo_v2(Device *device, struct memory_v2 *info) {
    ENTER;
    if (info->version != (sizeof *info | 2u << 24)) return VERSION;
    info->total = device->is_instance ? 10737418240 : 85899345920;
    /* More is in use at each reading: used + reads * used_step. */
    info->used = number("used", "2002") + memory_reads++ * number("used_step", "0");
    info->reserved = 1001; info->free = info->total - 1001 - info->used;
    return 0;
}

struct process { unsigned pid; unsigned long long used; unsigned gpu_instance, compute_instance; };
static int processes(unsigned *room, struct process *list) {
    unsigned there = (unsigned)number("processes", "2");
    if (there == 0) { *room = 0; return 0; }
    if (!list || *room < there) { *room = there; return TOO_SMALL; }
    for (unsigned i = 0; i < there; i++) {
        list[i].pid = 4000 + i;
        list[i].used = i == 1 ? UINT64_MAX : 123456789; /* all ones: NVML does not know */
    }
    *room = there;
    return 0;
}
int nvmlDeviceGetComputeRunningProcesses_v3(Device *device, unsigned *room, struct process *list) { ENTER; (void)device; return processes(room, list); }
int nvmlDeviceGetComputeRunningProcesses_v2(Device *device, unsigned *room, struct process *list) { ENTER; (void)device; return processes(room, list); }

static uint64_t now_ms(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

/* Energy advances by a step at each reading, energy_mj + reads * energy_step_mj, and by energy_w watts
 * of the clock every energy_every_ms. */
int nvmlDeviceGetTotalEnergyConsumption(Device *device, unsigned long long *mj) {
    ENTER; WHOLE_GPU;
    *mj = number("energy_mj", "5000000001") + energy_reads++ * number("energy_step_mj", "0");
    uint64_t every_ms = number("energy_every_ms", "100");
    *mj += number("energy_w", "0") * (now_ms() / every_ms * every_ms);
    return 0;
}
/* Power rises to its full value from the reading power_from on, over power_over readings. */
int nvmlDeviceGetPowerUsage(Device *device, unsigned *mw) {
    ENTER; WHOLE_GPU;
    uint64_t from = number("power_from", "0"), over = number("power_over", "1"), read = power_reads++;
    double done = read < from ? 0 : read - from >= over ? 1 : (double)(read - from) / (double)over;
    *mw = (unsigned)(100000 + 245678 * (from ? done : 1));
    return 0;
}
struct utilization { unsigned gpu, memory; };
int nvmlDeviceGetUtilizationRates(Device *device, struct utilization *share) {
    ENTER; WHOLE_GPU;
    share->gpu = 100; share->memory = (unsigned)number("utilization", "77");
    return 0;
}

struct temperature { unsigned version, sensor; int celsius; };
int nvmlDeviceGetTemperatureV(Device *device, struct temperature *temperature) {
    ENTER; WHOLE_GPU;
    if (temperature->version != (sizeof *temperature | 1u << 24)) return VERSION;
    temperature->celsius = temperature->sensor == 0 ? 51 : 99;
    temperature->celsius += (int)(temperature_reads++ * number("heat_step_c", "0"));
    return 0;
}
int nvmlDeviceGetTemperature(Device *device, unsigned sensor, unsigned *celsius) { ENTER; WHOLE_GPU; *celsius = sensor == 0 ? 50 : 99; return 0; }

/* "field.<id>=<value type> <value>" or "field.<id>=error <nvmlReturn_t>"; from one call to the next those of 64
 * bits grow by throttle_step_ns. */
struct field { uint32_t id, scope; int64_t time_us, latency_us; unsigned type; int code; union { double d; unsigned u; unsigned long ul; unsigned long long ull; long long sll; int s; unsigned short us; } value; };
int nvmlDeviceGetFieldValues(Device *device, int count, struct field *fields) {
    ENTER; WHOLE_GPU;
    uint64_t grown = field_reads++ * number("throttle_step_ns", "0");
    for (int i = 0; i < count; i++) {
        static const struct { unsigned id; const char *is; } usual[] = {
            {74, "3 18446744073"}, {76, "3 76"}, {82, "1 61"}, {269, "3 2690000000000"}, {270, "3 270"}, {271, "3 271"}};
        const char *is = "error 3";
        char key[32], word[32] = "", rest[64] = "0";
        for (size_t k = 0; k < sizeof usual / sizeof *usual; k++) if (usual[k].id == fields[i].id) is = usual[k].is;
        snprintf(key, sizeof key, "field.%u", fields[i].id);
        sscanf(setting(key, is), "%31s %63s", word, rest);
        fields[i].code = 0;
        memset(&fields[i].value, 0xff, sizeof fields[i].value); /* what a wrong union member would see */
        if (!strcmp(word, "error")) { fields[i].code = atoi(rest); continue; }
        fields[i].type = (unsigned)atoi(word);
        switch (fields[i].type) {
        case 0: fields[i].value.d = atof(rest); break;
        case 1: fields[i].value.u = (unsigned)strtoul(rest, NULL, 0); break;
        case 3: fields[i].value.ull = strtoull(rest, NULL, 0) + grown; break;
        case 5: fields[i].value.s = atoi(rest); break;
        }
    }
    return 0;
}

struct support { unsigned version, supported; };
int nvmlGpmQueryDeviceSupport(Device *device, struct support *support) {
    ENTER; WHOLE_GPU;
    if (support->version != 1) return VERSION;
    support->supported = (unsigned)number("gpm", "1");
    return 0;
}
int nvmlGpmSampleAlloc(Sample **sample) { ENTER; *sample = calloc(1, sizeof **sample); samples_alive++; return 0; }
int nvmlGpmSampleFree(Sample *sample) { ENTER; free(sample); samples_alive--; return 0; }
static int take(Device *device, int gpu_instance, Sample *sample) {
    if (device->is_instance) return INVALID;
    sample->order = ++samples_taken; sample->instance = gpu_instance; sample->device = device;
    return 0;
}
int nvmlGpmSampleGet(Device *device, Sample *sample) { ENTER; return take(device, -1, sample); }
int nvmlGpmMigSampleGet(Device *device, unsigned gpu_instance, Sample *sample) { ENTER; return take(device, (int)gpu_instance, sample); }

/* "gpm.<metric>=<value>" or "gpm.<metric>=error <nvmlReturn_t>"; an instance answers the value plus its id. */
struct metric { unsigned id; int code; double value; const char *short_name, *long_name, *unit; };
struct request { unsigned version, count; Sample *first, *second; struct metric metrics[]; };
int nvmlGpmMetricsGet(struct request *request) {
    ENTER;
    if (request->version != 1) return VERSION;
    if (!request->first || !request->second || request->first->order >= request->second->order) return INVALID;
    for (unsigned i = 0; i < request->count; i++) {
        struct metric *metric = &request->metrics[i];
        char key[32], usual[32];
        snprintf(key, sizeof key, "gpm.%u", metric->id);
        snprintf(usual, sizeof usual, "%u.5", metric->id);
        const char *is = setting(key, usual);
        metric->code = strncmp(is, "error ", 6) ? 0 : atoi(is + 6);
        metric->value = atof(is) + (request->first->instance > 0 ? request->first->instance : 0);
    }
    return 0;
}
