/** Whether the page is being laid out for paper: then nothing may be left to scrolling. */
import { useEffect, useState } from 'preact/hooks';

export function usePrinting(): boolean {
  const [printing, setPrinting] = useState(() => matchMedia('print').matches);
  useEffect(() => {
    const query = matchMedia('print');
    // A state set here is rendered in a microtask, before the browser takes its picture.
    const begin = (): void => setPrinting(true);
    const end = (): void => setPrinting(false);
    const changed = (): void => setPrinting(query.matches);
    addEventListener('beforeprint', begin);
    addEventListener('afterprint', end);
    query.addEventListener('change', changed);
    return () => {
      removeEventListener('beforeprint', begin);
      removeEventListener('afterprint', end);
      query.removeEventListener('change', changed);
    };
  }, []);
  return printing;
}
