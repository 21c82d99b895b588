/**
 * Start of day: everything the domain builder and Xen put into memory before the first vCPU runs. All of it is in the
 * image's buffers, so an engine may also save them and put them back.
 *
 * x86 domains start with upcalls masked in every slot of the shared page, whether or not it has a vCPU, with start_info, and
 * with a periodic timer. vCPUs beyond the shared page's slots (32; 1 on Arm) have no vcpu_info until they register one.
 *
 * Must not run while any vCPU of the machine does. Writes to the buffers directly, not through the engine's Memory.
 *
 * @source tools/libs/guest/xg_dom_x86.c, xen/arch/x86/pv/dom0_build.c, xen/common/event_channel.c (evtchn_init),
 * xen/common/domain.c (vcpu_create, vcpu_info_reset)
 */
import { ECS_RESERVED } from '../abi/event-channel';
import { layoutOf } from '../abi/layouts';
import { SIF } from '../abi/start-info';
import { RUNSTATE_offline } from '../abi/vcpu';
import { AtomicsMemory } from '../memory/atomics-memory';
import { putBytes, putUint32, putUint64 } from './guest-access';
import { type DomainImage, GRANTS_PER_FRAME, type MachineImage, PAGE_BYTES } from './image';
import { type HvDomain, type HvVcpu, Machine } from './machine';
import { writePair } from './pairs';
import { noObserver, PauseFlag, type Platform } from './platform';
import {
  CHANNEL_BYTES,
  CHANNEL_STATE,
  DOMAIN_VALID_EVTCHNS,
  EVTCHNS_PER_BUCKET,
  GRANT_TABLE_MAPTRACK_LIMIT,
  GRANT_TABLE_NR_GRANT_FRAMES,
  MACHINE_WC_NSEC,
  MACHINE_WC_SEC,
  VCPU_INFO,
  VCPU_IRQ_MASKED,
  VCPU_IS_INITIALISED,
  VCPU_PAUSE_FLAGS,
  VCPU_PERIODIC_PERIOD,
  VCPU_RUNSTATE,
} from './state-layout';
import { writeTimeInfo, writeWallclock } from './time';
import { UPCALL_MASK_OFFSET } from './vcpu-state';

/** Of the grant table, without the guest's asking. */
const INITIAL_NR_GRANT_FRAMES = 1;

/** Nothing runs yet: nobody to tell. */
const idlePlatform: Platform = {
  now: () => 0,
  deschedule() {},
  yield() {},
  timerChanged() {},
  consoleWrite() {},
  domainShutdown() {},
};

/** Views of the buffers for this module's own use; immutable, made once per image. */
const machines = new WeakMap<MachineImage, Machine>();

function machineOf(image: MachineImage): Machine {
  let machine = machines.get(image);
  if (machine === undefined) {
    machine = new Machine(image, (buffer) => new AtomicsMemory(buffer), idlePlatform, noObserver);
    machines.set(image, machine);
  }
  return machine;
}

/**
 * Writes the state at start of day.
 * @param hypervisor - over an image whose buffers are zero
 */
export function initialiseMachine(hypervisor: { readonly image: MachineImage }): void {
  const machine = machineOf(hypervisor.image);
  const { wallclockSec, wallclockNsec } = machine.image.options;
  writePair(machine.global, MACHINE_WC_SEC, wallclockSec);
  machine.global.write32(MACHINE_WC_NSEC, wallclockNsec);
  for (const domain of machine.domains) initialiseDomain(domain, wallclockSec, wallclockNsec);
}

/** Puts a used machine back to its start of day. Records of ports that were never valid are not touched. */
export function resetMachine(hypervisor: { readonly image: MachineImage }): void {
  const machine = machineOf(hypervisor.image);
  clear(machine.image.global, 0, machine.image.global.byteLength);
  for (const domain of machine.domains) {
    const image = machine.image.domains[domain.index] as DomainImage;
    clear(image.guest, 0, image.guest.byteLength);
    const used = domain.channelsAddress + domain.state.read32(DOMAIN_VALID_EVTCHNS) * CHANNEL_BYTES;
    clear(image.private, 0, Math.min(used, domain.fifoAddress));
    clear(image.private, domain.fifoAddress, domain.grantTableAddress);
    clearGrants(domain, image.private);
  }
  initialiseMachine(hypervisor);
}

/** What nobody can have used is not touched. */
function clearGrants(domain: HvDomain, buffer: SharedArrayBuffer): void {
  const table = domain.grantTableAddress;
  const entries = domain.state.read32(table + GRANT_TABLE_NR_GRANT_FRAMES) * GRANTS_PER_FRAME;
  const handles = domain.state.read32(table + GRANT_TABLE_MAPTRACK_LIMIT);
  clear(buffer, table, domain.activeGrantAddress(entries));
  if (handles > 0) clear(buffer, domain.windowAddress, domain.mappingAddress(handles));
}

/** Shared memory is filled element by element: the widest elements are the fastest. All sizes are multiples of 8. */
function clear(buffer: SharedArrayBuffer, from: number, to: number): void {
  new BigInt64Array(buffer, from, (to - from) / 8).fill(0n);
}

function initialiseDomain(domain: HvDomain, wallclockSec: number, wallclockNsec: number): void {
  const { config, guest, state } = domain;
  state.write32(DOMAIN_VALID_EVTCHNS, EVTCHNS_PER_BUCKET);
  state.write32(domain.channelAddress(0) + CHANNEL_STATE, ECS_RESERVED);
  state.write32(domain.grantTableAddress + GRANT_TABLE_NR_GRANT_FRAMES, INITIAL_NR_GRANT_FRAMES);
  if (domain.isX86) {
    for (let slot = 0; slot < domain.constants.XEN_LEGACY_MAX_VCPUS; slot++) {
      guest.write8(domain.sharedInfoAddress + slot * domain.vcpuInfoBytes + UPCALL_MASK_OFFSET, 1);
    }
    writeStartInfo(domain);
  }
  if (config.timekeeping) writeWallclock(domain, guest, wallclockSec, wallclockNsec);
  for (const vcpu of domain.vcpus) initialiseVcpu(vcpu);
}

function initialiseVcpu(vcpu: HvVcpu): void {
  const { domain, vcpuId } = vcpu;
  const { config, guest, state } = domain;
  const online = config.onlineVcpus === 'all' || vcpuId === 0;
  state.write32(vcpu.address + VCPU_PAUSE_FLAGS, online ? 0 : PauseFlag.DOWN);
  state.write32(vcpu.address + VCPU_IS_INITIALISED, online ? 1 : 0);
  state.write32(vcpu.address + VCPU_RUNSTATE, RUNSTATE_offline);
  state.write32(vcpu.address + VCPU_IRQ_MASKED, domain.isX86 ? 0 : 1);
  writePair(state, vcpu.address + VCPU_PERIODIC_PERIOD, config.periodicTimerNs);
  if (vcpuId >= domain.constants.XEN_LEGACY_MAX_VCPUS) return;
  const info = domain.sharedInfoAddress + vcpuId * domain.vcpuInfoBytes;
  state.write32(vcpu.address + VCPU_INFO, info);
  if (domain.isX86 && config.timekeeping) writeTimeInfo(guest, info + domain.timeOffset, 0);
}

/** What a PV guest finds out about itself. It has no page tables, store or console ring to be told of. */
function writeStartInfo(domain: HvDomain): void {
  const { abi, config, guest } = domain;
  const { fields } = layoutOf(abi, 'start_info');
  const base = config.startInfoFrame * PAGE_BYTES;
  const at = (field: string): number => base + (fields[field]?.offset as number);
  const putWord = domain.constants.sizeof_unsigned_long === 8 ? putUint64 : putUint32;
  const magic = abi === 'x86_64' ? 'xen-3.0-x86_64' : 'xen-3.0-x86_32p';
  putBytes(guest, at('magic'), new TextEncoder().encode(magic));
  putWord(guest, at('nr_pages'), config.frames);
  putWord(guest, at('shared_info'), domain.sharedInfoAddress);
  const flags = (config.privileged ? SIF.SIF_PRIVILEGED : 0) | (config.hardwareDomain ? SIF.SIF_INITDOMAIN : 0);
  putUint32(guest, at('flags'), flags);
}
