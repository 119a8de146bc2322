//! Which functions may change globals, so that a context knows whom it may run side by side.
//!
//! A function stores if an instruction of its own does, or if a function that it calls does, through any number of
//! calls. Calls of imports count when the provider is bytecode that stores; that is known when a context links.
//! The answer steers concurrency only: the store instructions themselves check that their invocation runs alone.

use crate::verify::FunctionFacts;

/// The call graph of a module as far as stores need it.
#[derive(Debug)]
pub(crate) struct StoreAnalysis {
    /// For each function who calls it.
    callers: Vec<Vec<u32>>,
    /// (import, function that calls it).
    import_callers: Vec<(u32, u32)>,
    /// The result without imports.
    stores: Vec<bool>,
}

impl StoreAnalysis {
    pub fn new(functions: &[FunctionFacts]) -> StoreAnalysis {
        let mut callers = vec![Vec::new(); functions.len()];
        let mut import_callers = Vec::new();
        for (ordinal, facts) in (0..).zip(functions) {
            for &callee in &facts.callees {
                callers[callee as usize].push(ordinal);
            }
            import_callers.extend(facts.imports.iter().map(|&import| (import, ordinal)));
        }
        let mut analysis = StoreAnalysis { callers, import_callers, stores: vec![false; functions.len()] };
        let seeds =
            (0..).zip(functions).filter(|(_, facts)| facts.stores_globals).map(|(ordinal, _)| ordinal);
        let mut stores = std::mem::take(&mut analysis.stores);
        analysis.spread(&mut stores, seeds.collect());
        analysis.stores = stores;
        analysis
    }

    /// For each function whether it may store, given which imports do.
    pub fn with_imports(&self, import_stores: impl Fn(u32) -> bool) -> Box<[bool]> {
        let mut stores = self.stores.clone();
        let seeds = self.import_callers.iter().filter(|(import, _)| import_stores(*import));
        self.spread(&mut stores, seeds.map(|&(_, function)| function).collect());
        stores.into()
    }

    /// Marks the functions in `work` and everybody who reaches them.
    fn spread(&self, stores: &mut [bool], mut work: Vec<u32>) {
        while let Some(function) = work.pop() {
            if !std::mem::replace(&mut stores[function as usize], true) {
                work.extend(&self.callers[function as usize]);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn facts(stores_globals: bool, callees: &[u32], imports: &[u32]) -> FunctionFacts {
        let (callees, imports) = (callees.to_vec(), imports.to_vec());
        FunctionFacts { stores_globals, callees, imports, ..FunctionFacts::default() }
    }

    #[test]
    fn stores_spread_to_all_callers() {
        // 0 -> 1 -> 2 (stores), 3 <-> 4 (neither), 5 -> import 0, 6 -> 5.
        let functions = [
            facts(false, &[1], &[]),
            facts(false, &[2], &[]),
            facts(true, &[], &[]),
            facts(false, &[4], &[1]),
            facts(false, &[3], &[]),
            facts(false, &[], &[0]),
            facts(false, &[5], &[]),
        ];
        let analysis = StoreAnalysis::new(&functions);
        let without = analysis.with_imports(|_| false);
        assert_eq!(*without, [true, true, true, false, false, false, false]);
        let with = analysis.with_imports(|import| import == 0);
        assert_eq!(*with, [true, true, true, false, false, true, true]);
    }
}
