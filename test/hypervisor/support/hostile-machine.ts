/** A machine in which domain 1 is hostile and domain 2 minds its own business, and what has to be true of it in the end. */
import type { AbiName } from '../../../lib/abi';
import type { StructLayout } from '../../../lib/abi/struct';
import { nrGrantEntries } from '../../../lib/hypervisor/grant-entries';
import type { HvDomain, OpenMemory } from '../../../lib/hypervisor/hypervisor';
import { domainConfig } from '../../../lib/hypervisor/image';
import {
  ACTIVE_GRANT,
  ACTIVE_GRANT_BYTES,
  CHANNEL,
  CHANNEL_BYTES,
  DOMAIN,
  DOMAIN_VALID_EVTCHNS,
  FIFO_VCPU,
  GRANT_TABLE,
  IRQ,
  IRQ_BYTES,
  MACHINE,
  MACHINE_BYTES,
  VCPU,
} from '../../../lib/hypervisor/state-layout';
import { AtomicsMemory } from '../../../lib/memory/atomics-memory';
import type { LockableMemory } from '../../../lib/memory/memory';
import { TestMachine } from './machine';

export const FRAMES = 16;
export const HOSTILE = 1;
export const IRQS = 16;
/** Below lie the victim's shared page and what the hypervisor keeps in it. */
const VICTIMS_OWN = 0x2000;

export function hostileMachine(abi: AbiName, open?: OpenMemory): TestMachine {
  const hostile = { id: HOSTILE, abi, vcpus: 3, frames: FRAMES, readOnlyFrames: [9], pirqs: [1, 2, 3], maxPort: 90 };
  const victim = { id: 2, vcpus: 2, frames: FRAMES, hardwareDomain: true };
  return new TestMachine([domainConfig(hostile), domainConfig(victim)], { irqs: IRQS }, open);
}

/** The victim's memory, without its shared page: events may arrive there. */
export function victimsMemory({ hypervisor: { image } }: TestMachine): Buffer {
  return Buffer.from(image.domains[1]?.guest as SharedArrayBuffer).subarray(VICTIMS_OWN);
}

/** Names of locks that somebody holds. */
export function heldLocks({ hypervisor: { domains, image } }: TestMachine): string[] {
  const global = new AtomicsMemory(image.global);
  return [
    ...locksIn(MACHINE, global, 0),
    ...records(IRQ, global, MACHINE_BYTES, IRQ_BYTES, IRQS),
    ...domains.flatMap((domain) => heldLocksOf(domain).map((name) => `d${domain.id}: ${name}`)),
  ];
}

function heldLocksOf(domain: HvDomain): string[] {
  const { activeGrantsAddress, channelsAddress, grantTableAddress, state, vcpus } = domain;
  return [
    ...locksIn(GRANT_TABLE, state, grantTableAddress),
    ...records(ACTIVE_GRANT, state, activeGrantsAddress, ACTIVE_GRANT_BYTES, nrGrantEntries(domain)),
    ...locksIn(DOMAIN, state, 0),
    ...vcpus.flatMap(({ address, fifoAddress }) => [
      ...locksIn(VCPU, state, address),
      ...locksIn(FIFO_VCPU, state, fifoAddress),
    ]),
    ...records(CHANNEL, state, channelsAddress, CHANNEL_BYTES, state.read32(DOMAIN_VALID_EVTCHNS)),
  ];
}

function records(layout: StructLayout, memory: LockableMemory, from: number, bytes: number, count: number): string[] {
  return Array.from({ length: count }, (_, i) => locksIn(layout, memory, from + i * bytes)).flat();
}

function locksIn(layout: StructLayout, memory: LockableMemory, address: number): string[] {
  return Object.entries(layout.fields)
    .filter(([name]) => /(^|_)lock$/.test(name))
    .flatMap(([name, { count = 1, offset }]) =>
      Array.from({ length: count }, (_, i) => memory.read32(address + offset + i * 4)).some((word) => word !== 0)
        ? [`${layout.name}.${name}`]
        : [],
    );
}
