/**
 * The table of every structure, by ABI.
 */
import { ABI_CONSTANTS, ABI_NAMES, type AbiName } from '../abis';
import { type Members, type StructLayout, structLayout } from '../struct';
import * as block from './block';
import * as eventChannel from './event-channel-args';
import * as grant from './grant-args';
import * as hvm from './hvm-args';
import * as physdev from './physdev-args';
import * as rings from './rings';
import * as sched from './sched-args';
import * as sharedInfo from './shared-info';
import * as startInfo from './start-info';
import * as vcpu from './vcpu-args';

/** Every declared structure. */
export const STRUCTS = {
  ...sharedInfo,
  ...startInfo,
  ...rings,
  ...grant,
  ...block,
  ...eventChannel,
  ...sched,
  ...vcpu,
  ...physdev,
  ...hvm,
} as const satisfies Readonly<Record<string, Members>>;

export type StructName = keyof typeof STRUCTS;

/** True for a structure that the ABI has: start_info exists on x86 only. */
function exists(abi: AbiName, name: string): boolean {
  return name !== 'start_info' || ABI_CONSTANTS[abi].XEN_HAVE_PV_GUEST_ENTRY === 1;
}

/** Tables are compiled when they are first asked for, and with each the tables of the structures it contains. */
function layoutsFor(abi: AbiName): Readonly<Record<string, StructLayout>> {
  const layouts: Record<string, StructLayout> = {};
  for (const [name, members] of Object.entries(STRUCTS)) {
    if (!exists(abi, name)) continue;
    const get = (): StructLayout => {
      const value = structLayout(abi, name, members, layouts);
      Object.defineProperty(layouts, name, { value, enumerable: true });
      return value;
    };
    Object.defineProperty(layouts, name, { get, enumerable: true, configurable: true });
  }
  return layouts;
}

const LAYOUTS = Object.fromEntries(ABI_NAMES.map((abi) => [abi, layoutsFor(abi)])) as Readonly<
  Record<AbiName, Readonly<Record<string, StructLayout>>>
>;

/** All tables of an ABI, by name. */
export function layoutsOf(abi: AbiName): Readonly<Record<string, StructLayout>> {
  return LAYOUTS[abi];
}

/**
 * The table of one structure.
 * @throws Error for start_info on Arm, where it does not exist
 */
export function layoutOf(abi: AbiName, struct: StructName): StructLayout {
  const layout = LAYOUTS[abi][struct];
  if (layout === undefined) throw new Error(`${struct} does not exist on ${abi}`);
  return layout;
}
