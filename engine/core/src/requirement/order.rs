//! Who comes before whom, over plugins as numbers and what each requires as a list of numbers. Knows nothing else of plugins.

use std::collections::VecDeque;

/// The plugins in an order in which each comes after all that it requires, and otherwise stays where it was. Of those on a cycle
/// the one that comes first is taken first.
///
/// `requires[n]` are the plugins that `n` requires; numbers that are none are passed over.
#[must_use]
pub fn required_first(requires: &[Vec<usize>]) -> Vec<usize> {
    let mut order = Vec::with_capacity(requires.len());
    let mut seen = vec![false; requires.len()];
    // Each with how many of those that it requires were looked at. A stack of its own: a chain may be longer than the thread's.
    let mut open: Vec<(usize, usize)> = Vec::new();
    for first in 0..requires.len() {
        if !std::mem::replace(&mut seen[first], true) {
            open.push((first, 0));
        }
        while let Some((plugin, looked_at)) = open.last_mut() {
            let plugin = *plugin;
            let Some(&next) = requires[plugin].get(*looked_at) else {
                open.pop();
                order.push(plugin);
                continue;
            };
            *looked_at += 1;
            if next < seen.len() && !std::mem::replace(&mut seen[next], true) {
                open.push((next, 0));
            }
        }
    }
    order
}

/// For each plugin that is on a cycle, the shortest one, beginning with the plugin itself.
///
/// `requires[n]` are the plugins that `n` requires; numbers that are none are passed over.
#[must_use]
pub fn cycles(requires: &[Vec<usize>]) -> Vec<Option<Vec<usize>>> {
    let at_rest = come_to_rest(requires);
    (0..requires.len())
        .map(|plugin| (!at_rest[plugin]).then(|| cycle_through(plugin, requires, &at_rest))?)
        .collect()
}

/// The plugins that neither are on a cycle nor require one that is: those that require nothing, those that require only these, and
/// so on.
fn come_to_rest(requires: &[Vec<usize>]) -> Vec<bool> {
    let mut left: Vec<usize> = Vec::with_capacity(requires.len());
    let mut required_by = vec![Vec::new(); requires.len()];
    for (plugin, required) in requires.iter().enumerate() {
        let mut count = 0;
        for &one in required.iter().filter(|one| **one < requires.len()) {
            required_by[one].push(plugin);
            count += 1;
        }
        left.push(count);
    }
    let mut at_rest: Vec<bool> = left.iter().map(|left| *left == 0).collect();
    let mut free: Vec<usize> = (0..requires.len()).filter(|one| at_rest[*one]).collect();
    while let Some(one) = free.pop() {
        for &plugin in &required_by[one] {
            left[plugin] -= 1;
            if left[plugin] == 0 {
                at_rest[plugin] = true;
                free.push(plugin);
            }
        }
    }
    at_rest
}

/// The shortest way from a plugin back to it.
fn cycle_through(start: usize, requires: &[Vec<usize>], at_rest: &[bool]) -> Option<Vec<usize>> {
    let mut came_from = vec![None; requires.len()];
    let mut next = VecDeque::from([start]);
    while let Some(plugin) = next.pop_front() {
        for &required in &requires[plugin] {
            if required == start {
                let mut path = vec![plugin];
                while let Some(before) = path.last().and_then(|last| came_from[*last]) {
                    path.push(before);
                }
                path.reverse();
                return Some(path);
            }
            if required < requires.len() && !at_rest[required] && came_from[required].is_none() {
                came_from[required] = Some(plugin);
                next.push_back(required);
            }
        }
    }
    None
}
