/** What requests about domains need of the world outside the store. `xenstored.ts` provides it. */
import type { XsError } from './errors';

export interface Toolstack {
  /** Connects to a domain by its page and its port, or anew. Returns why that cannot be, or whether it was unknown before. */
  introduce(id: number, frame: number, port: number): { readonly isNew: boolean } | { readonly error: XsError };
  /** Ends the connection: the page is left alone, the port closed. */
  disconnect(id: number): void;
  /** The domain counts as running: its next shutdown is told of again. */
  resume(id: number): void;
  /** The server_features of the domain's page. */
  features(id: number): number;
  setFeatures(id: number, features: number): void;
  print(text: string): void;
}
