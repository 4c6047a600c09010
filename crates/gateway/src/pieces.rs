//! What is paid for by the piece: calls of tools, and images.

use std::collections::BTreeMap;
use std::sync::Arc;

use seaworthy_core::money::Micros;
use seaworthy_core::price::{Extras, Price};
use seaworthy_llm::usage::Piece;

/// Prices of tools by name, whoever runs them.
#[derive(Debug, Default)]
pub(crate) struct ToolPrices {
    prices: BTreeMap<String, Micros>,
    /// How many calls are reserved for a request that offers tools.
    pub(crate) reserved_calls: u64,
}

/// What the pieces of one call have come to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Pieces {
    pub(crate) extras: Extras,
    pub(crate) cost: Micros,
}

/// The prices of pieces that apply to one call.
#[derive(Debug, Clone, Default)]
pub(crate) struct PiecePrices {
    tools: Arc<ToolPrices>,
    /// A call of a tool that the provider runs and that has no price of its own.
    ran: Micros,
    image: Micros,
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
    /// Those of a model with this price.
    pub(crate) fn of(tools: &Arc<ToolPrices>, price: Option<&Price>) -> Self {
        Self {
            tools: Arc::clone(tools),
            ran: price.map_or(Micros::ZERO, |price| price.tool_call),
            image: price.map_or(Micros::ZERO, |price| price.image),
        }
    }

    /// Whether nothing is paid for by the piece, so that nobody need look.
    pub(crate) fn are_none(&self) -> bool {
        self.tools.prices.is_empty() && self.ran == Micros::ZERO && self.image == Micros::ZERO
    }

    /// Adds pieces to what there was. A tool without a price costs and counts nothing.
    pub(crate) fn add(&self, sum: &mut Pieces, found: &[Piece]) {
        for piece in found {
            let price = match piece {
                Piece::Called(name) => self.tools.prices.get(name).copied(),
                Piece::Ran(name) => {
                    let own = self.tools.prices.get(name).copied();
                    own.or((self.ran > Micros::ZERO).then_some(self.ran))
                }
                Piece::Image => {
                    sum.extras.images = sum.extras.images.saturating_add(1);
                    sum.cost = sum.cost.plus(self.image);
                    continue;
                }
            };
            if let Some(price) = price {
                sum.extras.tool_calls = sum.extras.tool_calls.saturating_add(1);
                sum.cost = sum.cost.plus(price);
            }
        }
    }

    /// What is reserved for the pieces of a request: the dearest of the tools that it may have
    /// called, as often as the configuration says, and one image where it may ask for one.
    pub(crate) fn reserved(&self, body: &[u8]) -> Micros {
        let has = |needle: &str| memchr::memmem::find(body, needle.as_bytes()).is_some();
        if self.are_none() || !(has("\"tools\"") || has("modalities\"") || has("Modalities\"")) {
            return Micros::ZERO;
        }
        let offered = self.tools.prices.iter();
        let offered = offered.filter(|(name, _)| has(&format!("\"{name}")));
        let dearest = offered.map(|(_, price)| *price).chain([self.ran]).max();
        let tools = dearest.unwrap_or_default().times(self.tools.reserved_calls);
        let asks_for_image = has("image_generation") || has("odalities\"");
        tools.plus(if asks_for_image {
            self.image
        } else {
            Micros::ZERO
        })
    }
}
