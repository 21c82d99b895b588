/** The logs of all vCPUs of a failed iteration as one text: a line per access, in the order of the log's clock. */
import { Op, opName } from '../engine/inline/ops';
import type { DomainPlan, MachinePlan } from '../engine/machine-plan';
import type { LastAccesses } from '../engine/snapshot/dump-file';
import type { DomainSnapshot } from '../engine/snapshot/schema';
import { domainOf, hypercallNumber, type LoggedAccess, LogKind, type ThreadLog } from '../engine/threads';
import { fifoRanges } from '../guest/fifo-area';
import { kernelRanges } from '../guest/kernel-area';
import { hypercallNames } from '../hypervisor/hypercall-names';
import { PAGE_BYTES } from '../hypervisor/image';
import { AddressNames, domainRanges } from '../memory/names';
import { fifoNamesAt } from './fifo-words';

/** So many of the last ones are told. */
const MOST_LINES = 200;
/** In a dump, of each vCPU. */
const MOST_OF_VCPU = 64;
const RETURNS_NOTHING: readonly number[] = [Op.WRITE8, Op.WRITE32, Op.STORE8, Op.STORE32];

/** A vCPU, and what it calls the place of an access. */
interface Speaker {
  readonly domain: string;
  readonly vcpu: number;
  readonly name: string;
  readonly nameOf: (access: LoggedAccess) => string;
}

export function accessLines(plan: MachinePlan, logs: readonly ThreadLog[]): string[] {
  const speakers = speakersOf(plan);
  const hypercalls = hypercallsByNumber();
  const width = Math.max(...speakers.map(({ name }) => name.length));
  const all = logs.flatMap(({ row, accesses }) => accesses.map((access) => ({ access, speaker: speakers[row] })));
  // Stable: accesses of one vCPU keep their order.
  all.sort((a, b) => a.access.tick - b.access.tick);
  return all.slice(-MOST_LINES).map(({ access, speaker }) => {
    const text = speaker === undefined ? '' : describe(access, speaker, hypercalls);
    return `${String(access.tick).padStart(5)}  ${(speaker?.name ?? '').padEnd(width)}  ${text}`;
  });
}

/**
 * The same for a dump: by vCPU, the last ones of each.
 * @param domains - as they were then: what they had registered has names
 */
export function accessesByVcpu(
  plan: MachinePlan,
  logs: readonly ThreadLog[],
  domains: readonly DomainSnapshot[],
): LastAccesses[] {
  const speakers = speakersOf(plan, domains);
  const hypercalls = hypercallsByNumber();
  return logs.flatMap(({ row, missing, accesses }) => {
    const speaker = speakers[row];
    if (speaker === undefined) return [];
    const last = accesses.slice(-MOST_OF_VCPU);
    return {
      domain: speaker.domain,
      vcpu: speaker.vcpu,
      missing: missing + accesses.length - last.length,
      accesses: last.map((access) => `tick ${access.tick}: ${describe(access, speaker, hypercalls)}`),
    };
  });
}

function hypercallsByNumber(): ReadonlyMap<number, string> {
  return new Map(hypercallNames().map((name) => [hypercallNumber(name), name]));
}

function speakersOf(plan: MachinePlan, domains: readonly DomainSnapshot[] = []): Speaker[] {
  const spaces = plan.domains.map(namesOf);
  return plan.domains.flatMap(({ name, config }, index) => {
    const prefix = plan.domains.length > 1 ? `${name}/` : '';
    const nameOf = ({ address, region, kind, operand }: LoggedAccess): string => {
      const owner = domainOf(region);
      const fifo = domains[owner]?.fifo;
      const registered = fifo && fifoNamesAt(fifo, address);
      const bits = kind === Op.OR32 || kind === Op.XOR32 ? operand : kind === Op.AND32 ? ~operand : 0;
      const described = registered?.describeBits(address & ~3, bits) ?? spaces[owner]?.describe(address) ?? '';
      return owner === index ? described : `${plan.domains[owner]?.name}.${described}`;
    };
    return Array.from({ length: config.vcpus }, (_, vcpu) => ({
      domain: name,
      vcpu,
      name: `${prefix}vCPU ${vcpu}`,
      nameOf,
    }));
  });
}

function namesOf({ config, words, guestDomain }: DomainPlan): AddressNames {
  const { abi, frames, grantFrames, vcpus } = config;
  const ranges = domainRanges({
    abi,
    sharedInfoAddress: config.sharedInfoFrame * PAGE_BYTES,
    startInfoAddress: config.startInfoFrame * PAGE_BYTES,
    words: words.table,
    frames,
    grantFrames,
  });
  // The guest library's words where nothing of the scenario's own lies, bare frames last.
  const bytes = frames * PAGE_BYTES;
  const library = kernelRanges(vcpus, bytes);
  if (guestDomain.events === 'fifo') library.push(...fifoRanges(vcpus, bytes, config.maxPort));
  return new AddressNames([...ranges.slice(0, -1), ...library, ...ranges.slice(-1)]);
}

function describe(access: LoggedAccess, speaker: Speaker, hypercalls: ReadonlyMap<number, string>): string {
  const { kind, operand, expected, result, count } = access;
  switch (kind) {
    case LogKind.HYPERCALL:
      return `${hypercalls.get(operand) ?? 'hypercall'} {`;
    case LogKind.HYPERCALL_END:
      return '}';
    case LogKind.UPCALL:
      return 'upcall {';
    case LogKind.UPCALL_END:
      return '} upcall';
    case Op.RELAX:
      return count > 1 ? `relax, ${count} times` : 'relax';
    case Op.FENCE:
      return 'fence';
    case Op.CHOOSE:
      return `choose(${operand}) → ${result}`;
    default: {
      const operands = kind === Op.CAS32 || kind === Op.CAS8 ? ` ${expected} to ${operand}` : operandOf(kind, operand);
      const outcome = RETURNS_NOTHING.includes(kind) ? '' : ` → ${hex(result)}`;
      return `${opName(kind)} ${speaker.nameOf(access)}${operands}${outcome}`;
    }
  }
}

function operandOf(kind: number, operand: number): string {
  const reads =
    kind === Op.READ8 || kind === Op.READ32 || kind === Op.LOAD8 || kind === Op.LOAD32 || kind === Op.WAIT_END;
  return reads ? '' : ` ${hex(operand)}`;
}

/** Small numbers as they are, bit masks in hexadecimal. */
function hex(value: number): string {
  return Math.abs(value) < 1024 ? String(value) : `0x${(value >>> 0).toString(16)}`;
}
