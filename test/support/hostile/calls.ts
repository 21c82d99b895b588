/**
 * Raw hypercalls of a hostile guest, made up from a table of the families: the command, the structure it takes (found by its
 * name in the tables of the ABI) and values for the members, with other arguments and pointers in between.
 *
 * A family is a row of {@link FAMILIES}. A command whose structure is declared is covered as soon as it has a number.
 */
import {
  CONSOLEIO,
  EVTCHNOP,
  type FieldLayout,
  GNTTABOP,
  HVMOP,
  HYPERCALLS,
  layoutsOf,
  PHYSDEVOP,
  SCHEDOP,
  VCPUOP,
  VMASST,
  XENMEM,
  XENVER,
} from '../../../lib/abi';
import type { AbiName } from '../../../lib/abi/abis';
import type { Memory } from '../../../lib/memory/memory';
import { type Dice, ODD_NUMBERS } from './dice';
import { anyAddress, anyNumber, type Surroundings, valueFor } from './values';

/** Arguments after the command; `structure` is an address that has been filled. */
type Arguments = (structure: number, dice: Dice, surroundings: Surroundings) => readonly [number, number];

interface Family {
  readonly number: number;
  /** How often, beside the others. */
  readonly weight: number;
  readonly commands: Readonly<Record<string, number>>;
  /** A structure is named as its command is, with this in place of what stands before the first underscore. */
  readonly structs: string;
  readonly arguments: Arguments;
}

const pointerOnly: Arguments = (structure) => [structure, 0];

/** Every family that is served, and some that are not. */
export const FAMILIES: readonly Family[] = [
  {
    number: HYPERCALLS.__HYPERVISOR_event_channel_op,
    weight: 50,
    commands: EVTCHNOP,
    structs: 'evtchn',
    arguments: pointerOnly,
  },
  {
    number: HYPERCALLS.__HYPERVISOR_vcpu_op,
    weight: 16,
    commands: VCPUOP,
    structs: 'vcpu',
    arguments: (structure, dice, surroundings) => [valueFor('vcpu', dice, surroundings), structure],
  },
  {
    number: HYPERCALLS.__HYPERVISOR_sched_op,
    weight: 10,
    commands: SCHEDOP,
    structs: 'sched',
    arguments: pointerOnly,
  },
  {
    number: HYPERCALLS.__HYPERVISOR_sched_op_compat,
    weight: 1,
    commands: SCHEDOP,
    structs: 'sched',
    arguments: (_, dice) => [anyNumber(dice), 0],
  },
  {
    number: HYPERCALLS.__HYPERVISOR_physdev_op,
    weight: 8,
    commands: PHYSDEVOP,
    structs: 'physdev',
    arguments: pointerOnly,
  },
  {
    number: HYPERCALLS.__HYPERVISOR_grant_table_op,
    weight: 12,
    commands: GNTTABOP,
    structs: 'gnttab',
    arguments: (structure, dice) => [structure, dice.oneIn(12) ? anyNumber(dice) : dice.below(4)],
  },
  {
    number: HYPERCALLS.__HYPERVISOR_xen_version,
    weight: 4,
    commands: XENVER,
    structs: 'xen',
    arguments: (structure, dice) => [dice.oneIn(4) ? 0 : structure, 0],
  },
  {
    number: HYPERCALLS.__HYPERVISOR_vm_assist,
    weight: 2,
    commands: { enable: VMASST.VMASST_CMD_enable, disable: VMASST.VMASST_CMD_disable },
    structs: 'xen',
    arguments: (_, dice) => [dice.oneIn(4) ? anyNumber(dice) : dice.below(7), 0],
  },
  {
    number: HYPERCALLS.__HYPERVISOR_hvm_op,
    weight: 3,
    commands: HVMOP,
    structs: 'hvm',
    arguments: pointerOnly,
  },
  {
    number: HYPERCALLS.__HYPERVISOR_memory_op,
    weight: 2,
    commands: XENMEM,
    structs: 'xen',
    arguments: pointerOnly,
  },
  {
    number: HYPERCALLS.__HYPERVISOR_console_io,
    weight: 1,
    commands: CONSOLEIO,
    structs: 'xen',
    arguments: (structure, dice) => [dice.oneIn(8) ? anyNumber(dice) : dice.below(300), structure],
  },
];

/** Commands that would leave little to be tested: made once in so many times that they are drawn. */
const RARE: Readonly<Record<string, number>> = {
  SCHEDOP_shutdown: 50_000,
  SCHEDOP_remote_shutdown: 2000,
  SCHEDOP_watchdog: 500,
  SCHEDOP_block: 50,
  SCHEDOP_poll: 4,
  VCPUOP_down: 2000,
  EVTCHNOP_reset: 40,
  EVTCHNOP_close: 2,
  EVTCHNOP_init_control: 10,
};

/** Structures whose name is not that of the command. */
const STRUCTS: Readonly<Record<string, string>> = {
  SCHEDOP_shutdown_code: 'sched_shutdown',
  HVMOP_set_param: 'xen_hvm_param',
  HVMOP_get_param: 'xen_hvm_param',
  VCPUOP_get_runstate_info: 'vcpu_runstate_info',
  VCPUOP_register_vcpu_time_memory_area: 'vcpu_register_time_memory_area',
  VCPUOP_register_vcpu_time_phys_area: 'vcpu_register_time_memory_area',
  VCPUOP_register_runstate_phys_area: 'vcpu_register_runstate_memory_area',
  PHYSDEVOP_pirq_eoi_gmfn_v1: 'physdev_pirq_eoi_gmfn',
  PHYSDEVOP_pirq_eoi_gmfn_v2: 'physdev_pirq_eoi_gmfn',
};

/** The structure of a command, if the ABI declares one. */
export function structOf({ structs }: Family, command: string): string {
  return STRUCTS[command] ?? command.replace(/^[^_]*/, structs);
}

interface Command {
  readonly family: Family;
  readonly number: number;
  readonly rarity: number;
  readonly fields: readonly (readonly [string, FieldLayout])[];
  readonly bytes: number;
}

/** What a call is made with. */
export interface HostileGuest extends Surroundings {
  readonly abi: AbiName;
  /** Written to plainly. */
  readonly memory: Pick<Memory, 'write8'>;
}

const ALL_NUMBERS = [...Object.values(HYPERCALLS), ...ODD_NUMBERS];
/** Longer than any campaign. */
const NEVER = 2 ** 52;
const NO_COMMANDS: ReadonlySet<string> = new Set();

export class HostileCalls {
  private readonly byFamily: readonly (readonly Command[])[];
  private readonly lots: readonly number[];
  /** By number and command. */
  private readonly rarities: ReadonlyMap<string, number>;

  /** @param spared - names of commands that are not to be made */
  constructor(
    private readonly dice: Dice,
    private readonly guest: HostileGuest,
    private readonly spared: ReadonlySet<string> = NO_COMMANDS,
  ) {
    this.byFamily = FAMILIES.map((family) => this.commandsOf(family));
    this.lots = FAMILIES.flatMap(({ weight }, index) => new Array<number>(weight).fill(index));
    const all = this.byFamily.flat();
    this.rarities = new Map(all.map(({ family, number, rarity }) => [`${family.number} ${number}`, rarity]));
  }

  /** Makes up a call, puts its structure into memory and makes it. */
  make(raw: (number: number, a: number, b: number, c: number) => number): number {
    const { dice, guest } = this;
    if (dice.oneIn(40)) return this.makeAnything(raw);
    if (dice.oneIn(30)) return raw(HYPERCALLS.__HYPERVISOR_set_timer_op, valueFor('timeout', dice, guest), 0, 0);
    const command = dice.pick(this.byFamily[dice.pick(this.lots)] as readonly Command[]);
    if (command.rarity > 1 && !dice.oneIn(command.rarity)) return 0;
    const at = anyAddress(dice, guest);
    // Otherwise whatever is there.
    if (!dice.oneIn(8)) this.fill(command, at);
    const [b, c] = command.family.arguments(at, dice, guest);
    return raw(command.family.number, command.number, b, c);
  }

  /** Random bytes where somebody may be looking: structures, or anywhere. */
  scribble(): void {
    const { dice, guest } = this;
    const at = dice.oneIn(2) ? anyAddress(dice, guest) : 4096 + dice.below(guest.bytes - 4096);
    this.put(at, 1 + dice.below(8), anyNumber(dice));
  }

  /** A number and arguments that need not mean anything. Rare commands stay rare. */
  private makeAnything(raw: (number: number, a: number, b: number, c: number) => number): number {
    const { dice, guest } = this;
    const number = dice.oneIn(2) ? dice.pick(FAMILIES).number : dice.pick(ALL_NUMBERS);
    const command = dice.oneIn(6) ? dice.pick(ODD_NUMBERS) : dice.below(34);
    const rarity = this.rarities.get(`${number} ${command >>> 0}`) ?? 1;
    if (rarity > 1 && !dice.oneIn(rarity)) return 0;
    const argument = () => (dice.oneIn(2) ? anyAddress(dice, guest) : anyNumber(dice));
    return raw(number, command, argument(), argument());
  }

  private rarityOf(name: string): number {
    return this.spared.has(name) ? NEVER : (RARE[name] ?? 1);
  }

  private commandsOf(family: Family): Command[] {
    const layouts = layoutsOf(this.guest.abi);
    return Object.entries(family.commands).map(([name, number]) => {
      const layout = layouts[structOf(family, name)];
      const fields = Object.entries(layout?.fields ?? {}).filter(([, { size }]) => size > 0);
      return { family, number, rarity: this.rarityOf(name), fields, bytes: layout?.size ?? 32 };
    });
  }

  private fill({ bytes, fields }: Command, at: number): void {
    const { dice, guest } = this;
    if (fields.length === 0) for (let i = 0; i < bytes; i += 4) this.put(at + i, 4, anyNumber(dice));
    for (const [name, { count = 1, offset, size }] of fields) {
      const each = size / count;
      for (let i = 0; i < count; i++) this.put(at + offset + i * each, each, valueFor(name, dice, guest));
    }
  }

  /** What lies outside the memory is left out. */
  private put(at: number, bytes: number, value: number): void {
    const { bytes: end, memory } = this.guest;
    let rest = Math.abs(value) < 2 ** 64 ? Math.trunc(value) : 0;
    for (let i = 0; i < bytes; i++) {
      if (Number.isInteger(at) && at + i >= 0 && at + i < end) memory.write8(at + i, rest & 0xff);
      rest = Math.floor(rest / 256);
    }
  }
}
