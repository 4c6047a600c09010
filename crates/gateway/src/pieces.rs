//! What is paid for by the piece: calls of tools, and images.

use std::collections::BTreeMap;
use std::sync::Arc;

use memchr::memmem;
use seaworthy_core::dialect::Dialect;
use seaworthy_core::money::Micros;
use seaworthy_core::price::{Extras, Price, ToolFee};
use seaworthy_llm::usage::Piece;

/// The tool whose calls are the images that they bring.
const IMAGE_TOOL: &str = "image_generation";

/// Prices of tools by name, whoever runs them.
#[derive(Debug, Default)]
pub(crate) struct ToolPrices {
    prices: BTreeMap<String, Micros>,
    /// How many calls are reserved for a request that offers tools.
    pub(crate) reserved_calls: u64,
}

/// What the pieces of one call have come to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Pieces {
    pub(crate) extras: Extras,
    pub(crate) cost: Micros,
    /// How often the provider has run which tool.
    ran: Vec<(String, u64)>,
}

/// The prices of pieces that apply to one call.
#[derive(Debug, Clone, Default)]
pub(crate) struct PiecePrices {
    tools: Arc<ToolPrices>,
    /// A call of a tool that the provider runs and that has no price of its own.
    ran: Micros,
    image: Micros,
    /// What the provider charges for the tools of its own that the request offers.
    fees: Vec<Offered>,
}

/// A tool of the provider's that a request offers.
#[derive(Debug, Clone)]
pub(crate) struct Offered {
    fee: ToolFee,
    /// How often it can be called at most, if the request says so.
    most: Option<u64>,
}

/// The tools of the provider's that a request offers, and how often they can be called at most.
pub(crate) fn offered(fees: &[ToolFee], dialect: Dialect, body: &[u8]) -> Vec<Offered> {
    let mentioned = |name: &str| memmem::find(body, format!("\"{name}").as_bytes()).is_some();
    let is_offered = |fee: &&ToolFee| mentioned(&fee.name) || mentioned(&in_camel_case(&fee.name));
    let fees: Vec<&ToolFee> = fees.iter().filter(is_offered).collect();
    if fees.is_empty() {
        return Vec::new();
    }
    let typed = seaworthy_llm::typed_tools(dialect, body);
    let offered = |fee: &ToolFee| {
        let most = fee.once.then_some(1);
        let most = match &typed {
            None => most,
            Some(typed) => {
                let of_it = typed.each.iter();
                let mut of_it = of_it
                    .filter(|(kind, _)| kind.starts_with(&fee.name))
                    .peekable();
                of_it.peek()?;
                let own =
                    of_it.try_fold(0_u64, |sum, (_, most)| Some(sum.saturating_add((*most)?)));
                most.or(own).or(typed.most)
            }
        };
        let fee = fee.clone();
        Some(Offered { fee, most })
    };
    fees.into_iter().filter_map(offered).collect()
}

/// All of them, for a request that does not show what it offers.
pub(crate) fn any_of(fees: &[ToolFee]) -> Vec<Offered> {
    let any = |fee: &ToolFee| Offered {
        fee: fee.clone(),
        most: fee.once.then_some(1),
    };
    fees.iter().map(any).collect()
}

/// `google_search` as `googleSearch`.
fn in_camel_case(name: &str) -> String {
    let mut words = name.split('_');
    let first = words.next().unwrap_or_default().to_owned();
    words.fold(first, |mut name, word| {
        let (initial, rest) = word.split_at_checked(1).unwrap_or_default();
        name.push_str(&initial.to_ascii_uppercase());
        name.push_str(rest);
        name
    })
}

impl ToolPrices {
    pub(crate) fn new(prices: BTreeMap<String, Micros>, reserved_calls: u64) -> Self {
        Self {
            prices,
            reserved_calls,
        }
    }
}

impl PiecePrices {
    /// Those of a model with this price, for a request that offers these tools.
    pub(crate) fn of(tools: &Arc<ToolPrices>, price: Option<&Price>, fees: Vec<Offered>) -> Self {
        Self {
            tools: Arc::clone(tools),
            ran: price.map_or(Micros::ZERO, |price| price.tool_call),
            image: price.map_or(Micros::ZERO, |price| price.image),
            fees,
        }
    }

    /// Whether nothing is paid for by the piece, so that nobody need look.
    pub(crate) fn are_none(&self) -> bool {
        self.tools.prices.is_empty()
            && self.ran == Micros::ZERO
            && self.image == Micros::ZERO
            && self.fees.is_empty()
    }

    /// Adds pieces to what there was. A tool without a price costs and counts nothing.
    pub(crate) fn add(&self, sum: &mut Pieces, found: &[Piece]) {
        for piece in found {
            match piece {
                Piece::Called(name) => {
                    if let Some(price) = self.tools.prices.get(name) {
                        sum.extras.tool_calls = sum.extras.tool_calls.saturating_add(1);
                        sum.cost = sum.cost.plus(*price);
                    }
                }
                Piece::Ran(name) => {
                    let count = sum.times_run(name).saturating_add(1);
                    self.set_run(sum, name, count);
                }
                Piece::Total(name, count) => self.set_run(sum, name, *count),
                Piece::Image => {
                    sum.extras.images = sum.extras.images.saturating_add(1);
                    sum.cost = sum.cost.plus(self.price_of_image());
                }
            }
        }
    }

    /// Notes how often the provider has run a tool.
    fn set_run(&self, sum: &mut Pieces, name: &str, count: u64) {
        let Some((price, once)) = self.price_of_run(name) else {
            return;
        };
        let paid = |count: u64| if once { count.min(1) } else { count };
        let (before, after) = (paid(sum.times_run(name)), paid(count));
        let Pieces { extras, cost, ran } = sum;
        extras.tool_calls = (extras.tool_calls.saturating_sub(before)).saturating_add(after);
        let others = cost.0.saturating_sub(price.times(before).0);
        *cost = Micros(others).plus(price.times(after));
        match ran.iter_mut().find(|(known, _)| known == name) {
            Some((_, known)) => *known = count,
            None => ran.push((name.to_owned(), count)),
        }
    }

    /// What a call of a tool costs that the provider runs, and whether that is paid once only.
    fn price_of_run(&self, name: &str) -> Option<(Micros, bool)> {
        if let Some(own) = self.own_price(name) {
            return Some((own, false));
        }
        let offered = self.fees.iter().find(|offered| offered.fee.name == name)?;
        Some((offered.fee.call, offered.fee.once))
    }

    /// What the configuration says of it.
    fn own_price(&self, name: &str) -> Option<Micros> {
        let own = self.tools.prices.get(name).copied();
        own.or((self.ran > Micros::ZERO).then_some(self.ran))
    }

    fn price_of_image(&self) -> Micros {
        if self.image > Micros::ZERO {
            return self.image;
        }
        let own = self.tools.prices.get(IMAGE_TOOL).copied();
        own.unwrap_or_else(|| self.price_of_run(IMAGE_TOOL).unwrap_or_default().0)
    }

    /// What is reserved for the pieces of a request: the dearest of the tools that it may have
    /// called, as often as the configuration says, and one image where it may ask for one.
    pub(crate) fn reserved(&self, body: &[u8]) -> Micros {
        let has = |needle: &str| memmem::find(body, needle.as_bytes()).is_some();
        if self.are_none() {
            return Micros::ZERO;
        }
        let fees = self.reserved_fees();
        if !(has("\"tools\"") || has("modalities\"") || has("Modalities\"")) {
            return fees;
        }
        let offered = self.tools.prices.iter();
        let offered = offered.filter(|(name, _)| has(&format!("\"{name}")));
        let dearest = offered.map(|(_, price)| *price).chain([self.ran]).max();
        let tools = dearest.unwrap_or_default().times(self.tools.reserved_calls);
        let asks_for_image = has("image_generation") || has("odalities\"");
        let image = if asks_for_image {
            self.image
        } else {
            Micros::ZERO
        };
        tools.plus(image).plus(fees)
    }

    /// What is reserved for the tools of the provider's: each as often as it can be called, and those
    /// without a bound together as often as the configuration says, for which they
    /// [get that bound](Self::unbounded).
    fn reserved_fees(&self) -> Micros {
        let mut bounded = Micros::ZERO;
        let mut dearest = Micros::ZERO;
        for Offered { fee, most } in self.charged_fees() {
            match most {
                Some(most) => bounded = bounded.plus(fee.call.times(*most)),
                None => dearest = dearest.max(fee.call),
            }
        }
        bounded.plus(dearest.times(self.tools.reserved_calls))
    }

    fn charged_fees(&self) -> impl Iterator<Item = &Offered> {
        let is_charged = |offered: &&Offered| {
            let name = offered.fee.name.as_str();
            let is_image = name == IMAGE_TOOL && self.image > Micros::ZERO;
            self.own_price(name).is_none() && !is_image
        };
        self.fees.iter().filter(is_charged)
    }

    /// The tools of the provider's that the request offers without a bound, and how many calls were
    /// reserved for them.
    pub(crate) fn unbounded(&self) -> (Vec<String>, u64) {
        let fees = self.charged_fees().filter(|offered| offered.most.is_none());
        let names = fees.map(|offered| offered.fee.name.clone()).collect();
        (names, self.tools.reserved_calls)
    }
}

impl Pieces {
    fn times_run(&self, name: &str) -> u64 {
        let mut ran = self.ran.iter();
        ran.find(|(known, _)| known == name)
            .map_or(0, |(_, count)| *count)
    }
}
