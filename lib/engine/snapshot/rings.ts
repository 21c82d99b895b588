/** The pages by which a domain talks to the services of Domain-0: how far each side of each ring has come. */
import { layoutOf } from '../../abi/layouts';
import type { Onlooker } from './onlooker';
import type { ServicePageSnapshot } from './schema';

/** Where a service's page lies in the domain's memory. */
export interface ServicePage {
  readonly service: string;
  readonly address: number;
}

/** By service. Both structures are the same on every ABI. */
const RINGS: Readonly<Record<string, { readonly struct: StructName; readonly rings: readonly string[] }>> = {
  xenstore: { struct: 'xenstore_domain_interface', rings: ['req', 'rsp'] },
  console: { struct: 'xencons_interface', rings: ['in', 'out'] },
};

type StructName = 'xenstore_domain_interface' | 'xencons_interface';

/** Services without rings of a known form are left out. */
export function snapshotRings(look: Onlooker, pages: readonly ServicePage[]): ServicePageSnapshot[] {
  return pages.flatMap(({ service, address }) => {
    const form = RINGS[service];
    if (form === undefined) return [];
    const { fields } = layoutOf('x86_64', form.struct);
    const at = (field: string): number => address + (fields[field]?.offset as number);
    const size = (field: string): number => fields[field]?.size as number;
    const connection = look.guest(at('connection'));
    return [
      {
        service,
        address,
        connected: (size('connection') === 1 ? connection & 0xff : connection) === 0,
        ...(fields.error === undefined ? {} : { error: look.guest(at('error')) }),
        rings: form.rings.map((name) => ({
          name,
          size: size(name),
          prod: look.guest(at(`${name}_prod`)),
          cons: look.guest(at(`${name}_cons`)),
        })),
      },
    ];
  });
}
