/**
 * What a hostile guest puts into a member of an argument structure, by the member's name: mostly values that get past the first
 * checks, sometimes any.
 */
import { type Dice, ODD_NUMBERS } from './dice';

const PAGE_BYTES = 4096;
const DOMID_SELF = 0x7ff0;

/** What the values have to fit. */
export interface Surroundings {
  /** Of the guest's memory. */
  readonly bytes: number;
  readonly vcpus: number;
  /** System time in ns. */
  now(): number;
}

type Kind = (dice: Dice, surroundings: Surroundings) => number;

/** The first frame of the guest's that holds nothing in particular: structures are often here. */
const SLOTS_ADDRESS = 3 * PAGE_BYTES;
const SLOTS = 16;
const SLOT_BYTES = 64;

/** Where concurrent writers meet structures: a few slots. */
export function slotAddress(dice: Dice): number {
  return SLOTS_ADDRESS + dice.below(SLOTS) * SLOT_BYTES;
}

/** Where a domain maps grants, and how many pages of it are drawn from. */
const WINDOW_ADDRESS = 0x8000_0000;
const WINDOW_PAGES = 8;

/** A page of the window. */
function windowAddress(dice: Dice): number {
  return WINDOW_ADDRESS + dice.below(WINDOW_PAGES) * PAGE_BYTES;
}

/** An address: often of a slot, mostly one with memory behind it, sometimes right at an edge, sometimes anything. */
export function anyAddress(dice: Dice, { bytes }: Surroundings): number {
  switch (dice.below(16)) {
    case 0:
      return dice.pick(ODD_NUMBERS);
    case 1:
      return dice.below(bytes / PAGE_BYTES + 1) * PAGE_BYTES - dice.below(80);
    case 2:
      return PAGE_BYTES + dice.below(bytes - PAGE_BYTES);
    case 3:
      return windowAddress(dice) + (dice.below(PAGE_BYTES) & ~7);
    case 4:
      return PAGE_BYTES + (dice.below(bytes - PAGE_BYTES) & ~7);
    default:
      return slotAddress(dice);
  }
}

export function anyNumber(dice: Dice): number {
  switch (dice.below(4)) {
    case 0:
      return dice.pick(ODD_NUMBERS);
    case 1:
      return dice.next();
    default:
      return dice.below(8);
  }
}

function port(dice: Dice): number {
  switch (dice.below(16)) {
    case 0:
      return anyNumber(dice);
    case 1:
      return dice.below(131_080);
    case 2:
    case 3:
      return dice.below(1100);
    default:
      return 1 + dice.below(24);
  }
}

function vcpu(dice: Dice, { vcpus }: Surroundings): number {
  return dice.oneIn(12) ? anyNumber(dice) : dice.below(vcpus);
}

function domain(dice: Dice): number {
  return dice.oneIn(12) ? dice.next() & 0xffff : dice.pick([DOMID_SELF, DOMID_SELF, 0, 1, 1, 2, 2, 3]);
}

function frame(dice: Dice, { bytes }: Surroundings): number {
  return dice.oneIn(12) ? anyNumber(dice) : dice.below(bytes / PAGE_BYTES + 2);
}

function offset(dice: Dice): number {
  switch (dice.below(8)) {
    case 0:
      return anyNumber(dice);
    case 1:
      return PAGE_BYTES - dice.below(100);
    default:
      return dice.below(PAGE_BYTES) & ~7;
  }
}

function time(dice: Dice, { now }: Surroundings): number {
  switch (dice.below(8)) {
    case 0:
      return anyNumber(dice);
    case 1:
      return now() - dice.below(1_000_000);
    default:
      return now() + dice.below(1_000_000);
  }
}

function period(dice: Dice): number {
  return dice.oneIn(4) ? anyNumber(dice) : 1_000_000 + dice.below(10_000_000);
}

function reference(dice: Dice): number {
  return dice.oneIn(8) ? anyNumber(dice) : dice.below(64);
}

function mapping(dice: Dice, surroundings: Surroundings): number {
  return dice.oneIn(8) ? anyAddress(dice, surroundings) : windowAddress(dice);
}

function below(n: number): Kind {
  return (dice) => (dice.oneIn(12) ? anyNumber(dice) : dice.below(n));
}

const KINDS: Readonly<Record<string, Kind>> = {
  port,
  remote_port: port,
  local_port: port,
  vcpu,
  dom: domain,
  domid: domain,
  remote_dom: domain,
  domain_id: domain,
  otherend_id: domain,
  virq: below(26),
  pirq: below(20),
  irq: below(20),
  mfn: frame,
  gfn: frame,
  gmfn: frame,
  gpfn: frame,
  frame,
  control_gfn: frame,
  array_gfn: frame,
  offset,
  length: below(PAGE_BYTES + 8),
  len: below(PAGE_BYTES + 8),
  priority: below(17),
  nr_ports: below(6),
  nr_frames: below(6),
  ports: anyAddress,
  addr: anyAddress,
  host_addr: mapping,
  new_addr: mapping,
  frame_list: anyAddress,
  timeout: time,
  timeout_abs_ns: time,
  period_ns: period,
  ref: reference,
  gref: reference,
  ref_a: reference,
  ref_b: reference,
  handle: reference,
  flags: below(32),
  reason: below(8),
  version: below(4),
};

/** @param member - as the tables name it; of a dotted name the last part counts */
export function valueFor(member: string, dice: Dice, surroundings: Surroundings): number {
  const kind = KINDS[member.slice(member.lastIndexOf('.') + 1)];
  return kind === undefined ? anyNumber(dice) : kind(dice, surroundings);
}
